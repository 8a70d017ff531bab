# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request body asks for at most: a bound on its prompt's tokens, and how many tokens of answer it wants.

A tokeniser that works on bytes never makes more tokens than there are bytes, and a body has at least as many bytes as
the texts in it: escapes only lengthen them. What the chat template adds to a message is less than the JSON around it.
Whatever the bound misses (a template that prints tools on many lines) the worker catches: it gets the reserved amount
with the request, and gives the answer what the prompt leaves.

An image is as many tokens as its projector makes of it, whatever its bytes: the most that a worker takes for one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from llama_orch.wire.completions.request import DEFAULT_TOKENS

if TYPE_CHECKING:
    from llama_orch.tap.routes import TapRoute

Document = Mapping[str, object]
Kind = Literal["generate", "embed", "none"]

TEMPLATE = 256
"""Tokens that a chat template adds by itself: a date, a system prompt of its own."""
IMAGE = 8192
"""Tokens that one image may become (`engine.vision.projector.MAX_ROWS`), beside those around it."""
_SORTS = frozenset(("image_url", "image", "input_image"))
_TOOLS = 2
"""Tools may be printed with spaces and line breaks that their JSON did not have."""
_KINDS: Mapping[str, Kind] = {"generate": "generate", "embed": "embed", "rerank": "embed"}
_CHAT = ("max_completion_tokens", "max_tokens")
_LIMITS: Mapping[str, tuple[str, ...]] = {
    "/v1/chat/completions": _CHAT,
    "/v1/completions": ("max_tokens",),
    "/v1/responses": ("max_output_tokens",),
    "/v1/messages": ("max_tokens",),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """`prompt` is a bound on the prompt's tokens, `wanted` how many tokens all answers together may have.

    `wanted` None: the client did not say. `choices` is the number of answers. `kind` none: nothing is generated, and
    nothing is charged (counting, tokenising); a token is reserved all the same, for at 0 an account is not served.
    """

    kind: Kind
    prompt: int
    wanted: int | None
    choices: int = 1


def asked_of(route: TapRoute, body: bytes, document: Document | None = None) -> Asked:
    """What `body`, a JSON object, asks for on `route`; `document` is the body parsed, where somebody has."""
    kind = _KINDS.get(route.job, "none")
    if kind == "none":
        return Asked("none", 0, 1)
    if document is None:
        document = cast("Document", json.loads(body))
    if kind == "embed":
        return Asked("embed", _texts(route, document, len(body)), 0)
    choices = _choices(document)
    each = _limit(route.path, document)
    bound = len(body) * (_TOOLS if b'"tools"' in body else 1) + TEMPLATE + _images(body, document) * IMAGE
    return Asked("generate", bound, None if each is None else each * choices, choices)


def _images(body: bytes, document: Document) -> int:
    """How many images lie in the body, at least: parts by their type, and Ollama's lists."""
    if b"image" not in body and b"\\u" not in body:  # an escape may hide the word from us, and not from the worker
        return 0
    count, pending = 0, list[object]([document])
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            members = cast("Document", value)
            images = members.get("images")
            count += isinstance(sort := members.get("type"), str) and sort in _SORTS
            count += len(cast("list[object]", images)) if isinstance(images, list) else 0
            pending += members.values()
        elif isinstance(value, list):
            pending += cast("list[object]", value)
    return count


def _limit(path: str, document: Document) -> int | None:
    if path.startswith("/api/"):  # -1, -2 and 0: until the context ends
        options = document.get("options")
        given = cast("Document", options).get("num_predict") if isinstance(options, dict) else None
        return given if isinstance(given, int) and given > 0 else None
    for name in _LIMITS.get(path, ()):
        given = document.get(name)
        if isinstance(given, int | float) and given >= 1:
            return int(given)
    return DEFAULT_TOKENS if path == "/v1/completions" else None


def _choices(document: Document) -> int:
    n, prompts = document.get("n"), document.get("prompt")
    count = n if isinstance(n, int) and n > 1 else 1
    if isinstance(prompts, list) and prompts and isinstance(prompts[0], str | list):
        count *= len(cast("list[object]", prompts))
    return count


def _texts(route: TapRoute, document: Document, size: int) -> int:
    """A bound on the tokens of all texts; a ranking reads its query once for each document."""
    query, documents = document.get("query"), document.get("documents")
    if route.job == "rerank" and isinstance(query, str) and isinstance(documents, list):
        count = len(cast("list[object]", documents))
        return size + count * (len(query.encode("utf-8", "replace")) + 4)
    return size + 16
