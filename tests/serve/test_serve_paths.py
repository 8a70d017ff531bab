# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths that are a little wrong, as a base URL makes them: refused with the one that was meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import anthropic
import openai
import pytest
from gateway_process import Gateway
from serve_process import Served, serving

from llama_orch.tap import nearby, routes

TALK = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("path", "meant", "hint"),
    [
        ("/chat/completions", "/v1/chat/completions", "the base URL of OpenAI's clients ends in /v1"),
        ("/models", "/v1/models", "the base URL of OpenAI's clients ends in /v1"),
        ("/models/org/name", "/v1/models/org/name", "ends in /v1"),
        ("/v1/chat/completions/", "/v1/chat/completions", "ask for"),
        ("/v1/models/", "/v1/models", "ask for"),
        ("//v1/models", "/v1/models", "ask for"),
        ("/v1/v1/messages", "/v1/messages", "leave /v1 out"),
        ("/v1/v1/messages/count_tokens", "/v1/messages/count_tokens", "leave /v1 out"),
        ("/v1/api/chat", "/api/chat", "leave /v1 out"),
        ("/v1/health", "/health", "ask for"),
        ("/api/v1/chat/completions", "/v1/chat/completions", "ask for"),
        ("/tags", "/api/tags", "ask for"),
        ("/anthropic/v1/messages", "/v1/messages", "ask for"),
    ],
)
def test_the_path_that_was_meant_is_told(path: str, meant: str, hint: str) -> None:
    error = nearby.refusal(path, routes.SERVE)
    assert error.message == f"there is no {path} here; did you mean {meant}?"
    assert hint in (error.hint or "")
    assert (error.status, error.code) == (404, "unknown_path")


@pytest.mark.parametrize("path", ["/", "/nothing", "/v1", "/v1/", "/v1/moderations", "/" * 5000, "/v1/../etc/passwd"])
def test_what_is_like_nothing_gets_the_list(path: str) -> None:
    error = nearby.refusal(path, routes.SERVE)
    assert "did you mean" not in error.message or path == "/v1/"
    assert len(error.message) < 200


@pytest.fixture(scope="module")
def served(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("h")
    with serving("-m", str(tiny_gguf), env={"ORCH_HOME": str(home)}) as running:
        yield running


def test_clients_see_it(served: Served) -> None:
    client = openai.OpenAI(base_url=served.url, api_key=served.key, max_retries=0)
    with pytest.raises(openai.NotFoundError, match="did you mean /v1/chat/completions"):
        client.chat.completions.create(model="tiny", messages=TALK)  # type: ignore[arg-type]
    other = anthropic.Anthropic(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0)
    with pytest.raises(anthropic.NotFoundError, match="did you mean /v1/messages"):
        other.messages.create(model="tiny", messages=TALK, max_tokens=4)  # type: ignore[arg-type]


def test_nothing_is_told_without_the_key(served: Served) -> None:
    assert served.ask("GET", "/models", headers={"authorization": "Bearer wrong"})[0] == 401


def test_a_slip_in_a_fields_name_is_told(served: Served) -> None:
    for slip, meant in (("max_tokn", "max_tokens"), ("temprature", "temperature"), ("tool_choise", "tool_choice")):
        status, answer = served.chat("tiny", **{slip: 1})
        assert (status, answer["error"]["code"], answer["error"]["param"]) == (400, "unsupported", f"/{slip}")
        assert answer["error"]["message"] == f"{slip} is not supported here; did you mean {meant}?"
    status, answer = served.chat("tiny", wholly_other=1)
    assert answer["error"]["message"] == "wholly_other is not supported here"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/chat"])
def test_a_form_that_is_too_much_is_422(served: Served, path: str) -> None:
    schema = {"anyOf": [{"const": "x" * 300_000}]}
    bodies = {
        "/v1/chat/completions": {
            "messages": TALK,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}},
        },
        "/v1/responses": {"input": "Hi", "text": {"format": {"type": "json_schema", "name": "n", "schema": schema}}},
        "/v1/messages": {
            "messages": TALK,
            "max_tokens": 4,
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
        },
        "/api/chat": {"messages": TALK, "format": schema},
    }
    status, body, headers = served.ask("POST", path, {"model": "tiny", **bodies[path]})
    found = json.loads(body)
    error = found if path == "/api/chat" else found["error"]
    assert (status, error["code"]) == (422, "too_complex"), body
    assert "longer than 256 KiB" in body.decode()
    assert error["param"].startswith("/")
    assert headers["x-orch-request-id"]


def test_the_other_limits_are_422_as_well(served: Served) -> None:
    choices = [{"anyOf": [{"minimum": 1}, {"maximum": 9}]}] * 30
    for schema in ({"allOf": choices, "type": "integer"}, {"$ref": "#" + "/a" * 3}, deep(40)):
        told = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
        status, answer = served.chat("tiny", response_format=told)
        known = "$ref" in schema
        assert status == (400 if known else 422), answer
        assert (answer["error"]["code"] == "too_complex") != known
    status, answer = served.chat("tiny", grammar="root ::= " + '"a" ' * 70_000)
    assert (status, answer["error"]["code"], answer["error"]["param"]) == (422, "too_complex", "/grammar")
    status, answer = served.chat("tiny", grammar="root ::= (")
    assert (status, answer["error"]["code"]) == (400, "bad_request")


def deep(levels: int) -> dict[str, object]:
    found: dict[str, object] = {"type": "string"}
    for _ in range(levels):
        found = {"type": "object", "properties": {"a": found}}
    return found


def test_the_document_says_so(served: Served) -> None:
    document = json.loads(served.ask("GET", "/openapi.json")[1])
    refused = document["paths"]["/v1/chat/completions"]["post"]["responses"]["422"]
    name = refused["$ref"].rpartition("/")[2]
    assert "more than can be held" in document["components"]["responses"][name]["description"]


def test_a_connection_goes_on_after_an_error(gateway_line: Gateway) -> None:
    connection = gateway_line.connect()
    try:
        for method, path, status in (
            ("GET", "/nothing", 404), ("PUT", "/v1/models", 405), ("POST", "/v1/chat/completions", 400),
            ("GET", "/v1/models?limit=1000&after_id=x", 200), ("HEAD", "/v1/models", 200), ("GET", "/health", 200),
        ):  # fmt: skip
            body = b"{" if method in ("POST", "PUT") else None
            sent = {"authorization": f"Bearer {gateway_line.key}", "content-type": "application/json"}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status, (method, path)
            assert answer.getheader("connection", "keep-alive") == "keep-alive"
            assert connection.sock is not None, "it stays open"
    finally:
        connection.close()


@pytest.fixture(scope="module")
def gateway_line(served: Served) -> Gateway:
    return Gateway(served.process, Path(), served.url, served.key)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/responses/resp_1/cancel", "POST"),
        ("/v1/responses/resp_1/input_items", "GET"),
        ("/v1/responses/resp_1", "GET, DELETE"),
        ("/v1/responses/input_tokens", "POST"),
        ("/v1/models/org/name/cancel", "GET"),
    ],
)
def test_what_a_path_answers_is_told_as_the_document_has_it(served: Served, path: str, allowed: str) -> None:
    status, _, headers = served.ask("PUT", path, {})
    assert (status, headers["allow"]) == (405, allowed)
