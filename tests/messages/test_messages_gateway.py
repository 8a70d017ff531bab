# SPDX-License-Identifier: GPL-3.0-or-later
"""The anthropic package and Claude Code's requests at a real gateway."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import jsonschema_rs
import pytest
from gateway_process import Gateway, start
from messages_bodies import CLAUDE_CODE
from tool_model import tool_model

from llama_orch.wire.messages.schema import ERROR, STREAM

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def gateway(shared_folder: Path) -> Iterator[Gateway]:
    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    running = start(home, tool_model(shared_folder), context=2048, slots=2, threads=1, installed=False)
    yield running
    running.end()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(params=["api_key", "auth_token"])
def client(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[anthropic.Anthropic]:
    """Once with the key as `x-api-key`, once as bearer token."""
    key: Any = {request.param: gateway.key}
    with anthropic.Anthropic(base_url=gateway.url, max_retries=0, **key) as opened:
        yield opened


def model(client: anthropic.Anthropic) -> str:
    return client.models.list().data[0].id


def test_models_and_messages(client: anthropic.Anthropic) -> None:
    (entry,) = client.models.list(limit=1000).data
    assert (entry.type, entry.display_name, entry.lifecycle) == ("model", entry.id, "active")
    assert entry.capabilities is None, "ours are words; its own are an object"
    assert entry.max_input_tokens == entry.max_tokens != 0
    assert entry.created_at.tzinfo is not None
    assert client.models.retrieve(entry.id).id == entry.id
    found = client.messages.create(model=entry.id, max_tokens=5, messages=HELLO)
    assert found.model == entry.id
    with client.messages.stream(model=entry.id, max_tokens=5, messages=HELLO) as stream:
        assert stream.get_final_message().usage.output_tokens <= 5
    assert client.messages.count_tokens(model=entry.id, messages=HELLO).input_tokens > 0


def test_claude_code(gateway: Gateway) -> None:
    """Every path that it calls, with its own headers; the key alone decides."""
    served = gateway.call("GET", "/v1/models?limit=1000").json["data"][0]["id"]
    headers = {
        "x-api-key": gateway.key or "",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27",
        "anthropic-dangerous-direct-browser-access": "true",
        "user-agent": "claude-cli/2.1.280 (external, cli)",
        "x-app": "cli",
        "x-claude-code-session-id": "5f0c",
        "x-stainless-retry-count": "0",
    }
    body = CLAUDE_CODE | {"model": served, "max_tokens": 20}
    assert gateway.call("HEAD", "/", key=False).status == 200
    answer = gateway.call("POST", "/v1/messages?beta=true", body, headers, key=False)
    assert answer.status == 200, answer.body
    for event in answer.events:
        jsonschema_rs.validate(STREAM, event)
    assert answer.events[0]["message"]["model"] == served
    counted = gateway.call("POST", "/v1/messages/count_tokens?beta=true", body, headers, key=False)
    assert counted.json["input_tokens"] > 0
    quota = {"model": served, "max_tokens": 1, "messages": [{"role": "user", "content": "quota"}], "metadata": {}}
    assert gateway.call("POST", "/v1/messages?beta=true", quota, headers, key=False).json["stop_reason"]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "kind"),
    [
        ("/v1/messages", {"model": "no-such", "max_tokens": 1, "messages": HELLO}, {}, 404, "not_found_error"),
        ("/v1/messages", {"model": "no-such"}, {"x-api-key": "wrong"}, 401, "authentication_error"),
        ("/v1/messages", b"{", {}, 400, "invalid_request_error"),
        ("/v1/messages", b"{}", {"content-type": "text/plain"}, 415, "invalid_request_error"),
        ("/v1/messages/count_tokens", {}, {}, 400, "invalid_request_error"),
    ],
)
def test_errors_have_the_form_of_anthropic(
    gateway: Gateway, path: str, body: Any, headers: dict[str, str], status: int, kind: str
) -> None:
    answer = gateway.call("POST", path, body, headers, key="x-api-key" not in headers)
    assert answer.status == status, answer.body
    jsonschema_rs.validate(ERROR, answer.json)
    assert answer.json["error"]["type"] == kind
    assert answer.json["request_id"] == answer.headers["x-orch-request-id"]


def test_a_wrong_key_and_an_unknown_model_raise_the_package_s_own_errors(gateway: Gateway) -> None:
    hello: dict[str, Any] = {"model": "claude-opus-5", "max_tokens": 1, "messages": HELLO}
    stranger = anthropic.Anthropic(base_url=gateway.url, api_key="wrong", max_retries=0)
    owner = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0)
    with stranger, pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(**hello)
    with owner, pytest.raises(anthropic.NotFoundError):
        owner.messages.create(**hello)
