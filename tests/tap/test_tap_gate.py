# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is let in: keys, Host, Origin, CORS, and what is refused in whose words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
from gateway_process import CHAT, KEY, Gateway, answers

ORIGIN = "https://app.example"


@pytest.mark.parametrize(
    ("path", "public"),
    [("/health", True), ("/ready", True), ("/v1/models", False), ("/v1/models/tiny", False), ("/nowhere", False)],
)
def test_what_needs_a_key(gateway: Gateway, path: str, public: bool) -> None:
    answer = gateway.call("GET", path, key=False)
    assert (answer.status != 401) == public
    if not public:
        assert answer.error["code"] == "invalid_api_key"
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer  {KEY} "},
        {"x-api-key": KEY},
        {"authorization": "Basic abc", "x-api-key": KEY},
    ],
)
def test_keys_that_fit(gateway: Gateway, headers: dict[str, str]) -> None:
    assert gateway.call("GET", "/v1/models", headers=headers, key=False).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {KEY}x"},
        {"authorization": f"Bearer {KEY[:-1]}"},
        {"authorization": KEY},
        {"authorization": f"Basic {KEY}"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer ' OR 1=1 --"},
        {"authorization": "Bearer " + "x" * 8000},
        {"x-api-key": "\xff\xfe"},
        {"x-api-key": ""},
        {"authorization": "Bearer wrong", "x-api-key": KEY},
    ],
)
def test_keys_that_do_not(gateway: Gateway, headers: dict[str, str]) -> None:
    answer = gateway.call("GET", "/v1/models", headers=headers, key=False)
    assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


def test_the_key_is_asked_for_before_the_body_is_heard(gateway: Gateway) -> None:
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n".encode()
    )
    assert [answer.status for answer in answers(gateway.raw(head))] == [401]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "127.1.2.3", "[::1]:8080", "localhost."])
def test_hosts_that_are_ours(gateway: Gateway, host: str) -> None:
    assert gateway.call("GET", "/health", headers={"host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "192.168.1.5",
        "[::2]",
        "",
        "localhost:80:80",
        "localhost@evil.example",
        "127.0.0.1 evil",
        "[::1",
        "::1",
        "0.0.0.0",
    ],
)
def test_hosts_that_are_not(gateway: Gateway, host: str) -> None:
    answer = gateway.call("GET", "/health", headers={"host": host})
    assert (answer.status, answer.error["code"]) == (403, "host_not_allowed")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"origin": "file://"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_web_pages_of_other_sites(gateway: Gateway, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/health"), ("POST", CHAT), ("OPTIONS", CHAT)):
        answer = gateway.call(method, path, headers=headers)
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers


def test_its_own_address_is_no_other_site(gateway: Gateway) -> None:
    own = {"origin": gateway.url, "sec-fetch-site": "same-origin"}
    assert gateway.call("GET", "/health", headers=own).status == 200
    assert (
        gateway.call("GET", "/health", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status
        == 200
    )


def test_cors_by_list(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(origins=[ORIGIN], hosts=["box.lan"])
    asked = {"origin": ORIGIN, "access-control-request-method": "POST"}
    preflight = gateway.call(
        "OPTIONS", CHAT, headers=asked | {"access-control-request-headers": "authorization,content-type"}, key=False
    )
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert preflight.headers["access-control-allow-headers"] == "authorization,content-type"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    for answer in (
        gateway.chat(headers={"origin": ORIGIN}),
        gateway.chat(headers={"origin": ORIGIN}, stream=True),
        gateway.call("GET", "/v1/models", headers={"origin": ORIGIN}, key=False),
    ):
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert answer.headers["vary"] == "Origin"
    assert gateway.call("GET", "/health", headers={"origin": ORIGIN + ".evil"}).status == 403
    assert gateway.call("GET", "/health", headers={"host": "box.lan:80"}).status == 200
    assert "access-control-allow-origin" not in gateway.call("GET", "/health").headers


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1", 404, "unknown_path"),
        ("GET", "/v1/chat/completions/", 404, "unknown_path"),
        ("POST", "//v1/chat/completions", 404, "unknown_path"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
        ("PUT", "/health", 405, "method_not_allowed"),
        ("GET", "/v1/models/other", 404, "model_not_found"),
        ("GET", "/v1/models/..%2f..%2fetc%2fpasswd", 404, "model_not_found"),
        ("GET", "/v1/models/%2e%2e/%2e%2e/x.gguf", 404, "model_not_found"),
        ("GET", "/v1/models/a%00b%0d%0ax-injected:%201", 404, "model_not_found"),
        ("GET", "/v1/models/%ff%fe", 404, "model_not_found"),
    ],
)
def test_wrong_paths_and_methods(gateway: Gateway, method: str, path: str, status: int, code: str) -> None:
    answer = gateway.call(method, path)
    assert (answer.status, answer.error["code"]) == (status, code)
    assert answer.headers["x-orch-request-id"]
    assert "x-injected" not in answer.headers
    if status == 405:
        assert answer.headers["allow"]


def test_a_head_is_a_get_without_its_body(gateway: Gateway) -> None:
    answer = gateway.call("HEAD", "/v1/models")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 100


def test_request_ids(gateway: Gateway) -> None:
    given = gateway.chat(headers={"x-orch-request-id": "mine-1"})
    assert given.headers["x-orch-request-id"] == "mine-1"
    assert given.json["id"].endswith("mine-1")
    for odd in ("a b", "x" * 65, "\xe4", "a;b"):
        made = gateway.chat(headers={"x-orch-request-id": odd})
        assert made.headers["x-orch-request-id"] != odd
    ids = {gateway.call("GET", "/health").headers["x-orch-request-id"] for _ in range(10)}
    assert len(ids) == 10


@pytest.mark.parametrize(
    "model", ["other", "../../etc/passwd", "/etc/passwd", "~/x.gguf", "tiny\0", "a\r\nx-injected: 1", "\ud800", "TINY"]
)
def test_models_that_are_not_here(gateway: Gateway, model: str) -> None:
    answer = gateway.chat(model=model)
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert answer.error["param"] == "/model"
    assert "x-injected" not in answer.headers


def test_a_near_miss_is_named(gateway: Gateway) -> None:
    assert gateway.chat(model="tinny").error["near_misses"] == ["tiny"]


@pytest.mark.parametrize("model", [7, ["tiny"], {"a": 1}, "", "x" * 600])
def test_models_that_are_no_names(gateway: Gateway, model: Any) -> None:
    answer = gateway.chat(model=model)
    assert (answer.status, answer.error["param"]) == (400, "/model")


def test_errors_in_the_dialects_own_words(gateway: Gateway) -> None:
    unknown = {"model": "other", "max_tokens": 3, "messages": [{"role": "user", "content": "x"}]}
    anthropic = gateway.call("POST", "/v1/messages?beta=true", unknown)
    assert anthropic.status == 404
    assert anthropic.json["type"] == "error"
    assert anthropic.json["error"]["type"] == "not_found_error"
    ollama = gateway.call("POST", "/api/chat", unknown)
    assert ollama.status == 404
    assert isinstance(ollama.json["error"], str)
    assert isinstance(gateway.call("POST", "/api/chat", unknown, key=False).json["error"], str)
    assert isinstance(gateway.call("GET", "/api/none").json["error"], str)
    assert gateway.call("PUT", "/v1/messages").json["type"] == "error"


def test_hints_name_options_that_there_are(gateway: Gateway) -> None:
    from llama_orch.cli.serve.command import Serve

    options = {f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(Serve)}
    for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        named = re.findall(r"--[a-z-]+", gateway.call("GET", "/v1/models", headers=headers).error["hint"])
        assert named
        assert options.issuperset(named)
