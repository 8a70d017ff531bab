# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in every dialect become the same parts of a turn, where they stood."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vision_models import data_url, png

from llama_orch.tap.admission import asked
from llama_orch.tap.admission.asked import IMAGE, asked_of
from llama_orch.tap.routes import ROUTES
from llama_orch.wire.generation import Chat
from llama_orch.wire.picture import from_url, joined
from llama_orch.wire.routes import load
from llama_orch_utils.errors import BadRequest

PNG = png()
DATA = base64.b64encode(PNG).decode()
URL = data_url(PNG)


def _turns(dialect: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    (prompt,) = load(f"llama_orch.wire.{dialect}:DIALECT").parse(json.dumps({"model": "m", **body}).encode()).prompts
    assert isinstance(prompt, Chat)
    return [dict(turn) for turn in prompt.turns]


def _user(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content, **more}]}


_BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
_TEXT = {"type": "text", "text": "What is it?"}
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("chat_completions", _user([{"type": "image_url", "image_url": {"url": URL, "detail": "high"}}, _TEXT]),
     "/messages/0/content/0/image_url/url"),
    ("chat_completions", _user([{"type": "image_url", "image_url": URL}, _TEXT]), "/messages/0/content/0/image_url"),
    ("messages", {"max_tokens": 1, **_user([_BLOCK, _TEXT])}, "/messages/0/content/0/source/data"),
    ("responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": URL},
     {"type": "input_text", "text": "What is it?"}]}]}, "/input/0/content/0/image_url"),
    ("ollama_chat", _user("What is it?", images=[DATA]), "/messages/0/images/0"),
    ("ollama_generate", {"prompt": "What is it?", "images": [DATA]}, "/images/0"),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "body", "where"), CASES)
def test_every_dialect_shows_the_same(dialect: str, body: dict[str, Any], where: str) -> None:
    (turn,) = _turns(dialect, body)
    image = {"type": "image", "data": DATA, "where": where}
    assert turn == {"role": "user", "content": [image, "What is it?"]}


def test_texts_stay_where_they_were() -> None:
    one = {"type": "image_url", "image_url": {"url": URL}}
    parts = [_TEXT, _TEXT, one, {"type": "text", "text": "b"}, one]
    (turn,) = _turns("chat_completions", _user(parts))
    kinds = [part if isinstance(part, str) else part["where"] for part in turn["content"]]
    at = "/messages/0/content/{}/image_url/url"
    assert kinds == ["What is it?What is it?", at.format(2), "b", at.format(4)]


@given(st.lists(st.text(), max_size=5))
def test_texts_alone_are_one_text(texts: list[str]) -> None:
    assert joined(list(texts)) == "".join(texts)
    assert joined(list(filter(None, texts)), "\n\n") == "\n\n".join(filter(None, texts))


@given(st.text(max_size=200))
def test_any_text_is_an_image_or_a_clear_error(text: str) -> None:
    for url in (text, "data:" + text, "data:image/png;base64," + text):
        assert _where(url) == "/x"


def _where(url: str) -> object:
    try:
        return from_url(url, "/x")["where"]
    except BadRequest as error:
        return error.param


@pytest.mark.parametrize(("dialect", "body", "where"), CASES)
def test_the_gateway_reserves_for_every_image(dialect: str, body: dict[str, Any], where: str) -> None:
    path = {
        "chat_completions": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses",
        "ollama_chat": "/api/chat", "ollama_generate": "/api/generate",
    }[dialect]  # fmt: skip
    route = next(route for route in ROUTES if route.path == path and route.job == "generate")
    raw = json.dumps(body).encode()
    assert asked_of(route, raw).prompt >= len(raw) + IMAGE
    escaped = raw.replace(b'"image', b'"\\u0069mage')
    assert asked_of(route, escaped).prompt >= len(raw) + IMAGE
    assert where


def test_the_gateways_bound_is_the_workers_limit() -> None:
    from llama_orch.engine.vision.projector import MAX_ROWS

    assert asked.IMAGE >= MAX_ROWS
