# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ollama's clients meet at a real gateway: names with tags, listings, details, errors."""

from __future__ import annotations

import http.client
import json
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import ollama
import pytest
from gateway_process import Gateway, start
from tool_model import TEMPLATE, tool_model

from llama_orch.tap.ollama import ps, show, tags, version
from llama_orch.wire.ollama_chat.schema import ERROR


@pytest.fixture(scope="module")
def gateway(shared_folder: Path, demo_gguf: Path) -> Iterator[Gateway]:
    """Two models, of which the second is loaded when it is asked for."""
    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    running = start(home, tool_model(shared_folder), context=2048, slots=2, threads=1, installed=True)
    yield running
    running.end()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def client(gateway: Gateway) -> Iterator[ollama.Client]:
    with ollama.Client(host=gateway.url, headers={"authorization": f"Bearer {gateway.key}"}) as opened:
        yield opened


def first(client: ollama.Client) -> str:
    """The name of the served model, as the listing has it."""
    names = [model.model for model in client.list().models]
    return next(name for name in names if name and name.startswith("tools"))


def test_the_listing(client: ollama.Client, gateway: Gateway, shared_folder: Path) -> None:
    found = gateway.call("GET", "/api/tags").json
    jsonschema_rs.validate(tags.ANSWER, found)
    entry = next(model for model in found["models"] if model["name"].startswith("tools"))
    assert entry["name"] == entry["model"]
    assert entry["name"].endswith(":latest") or ":" in entry["name"]
    assert entry["size"] == (shared_folder / "tools.gguf").stat().st_size
    assert entry["details"]["family"] == "llama"
    assert entry["details"]["families"] == ["llama"]
    assert entry["details"]["parameter_size"].endswith("K")
    assert entry["details"]["quantization_level"] == "F32"
    assert set(entry["capabilities"]) == {"completion", "tools", "thinking"}
    assert any(model.model == "orch-demo:latest" for model in client.list().models)


def test_names_with_and_without_a_tag(client: ollama.Client) -> None:
    name = first(client)
    for asked in (name, name.removesuffix(":latest")):
        found = client.chat(asked, messages=[{"role": "user", "content": "x"}], options={"num_predict": 2})
        assert (found.model, found.done) == (asked, True)
        assert client.generate(asked).done_reason == "load"
        parts = list(client.generate(asked, "x", options={"num_predict": 2}, stream=True))
        assert {part.model for part in parts} == {asked}


def test_what_is_loaded(client: ollama.Client, gateway: Gateway) -> None:
    client.generate(first(client))
    found = gateway.call("GET", "/api/ps").json
    jsonschema_rs.validate(ps.ANSWER, found)
    (entry,) = [model for model in client.ps().models if model.name == first(client)]
    assert entry.context_length == 2048
    assert entry.size is not None
    assert entry.size > 0
    assert entry.size_vram == 0
    assert entry.expires_at is not None
    assert entry.expires_at > datetime.now(UTC)


def test_what_is_known_of_a_model(client: ollama.Client, gateway: Gateway) -> None:
    name = first(client)
    for body in (
        {"model": name},
        {"name": name.removesuffix(":latest")},
        {"model": name, "verbose": True, "system": ""},
    ):
        found = gateway.call("POST", "/api/show", body).json
        jsonschema_rs.validate(show.ANSWER, found)
        jsonschema_rs.validate(show.REQUEST, body)
    shown = client.show(name)
    assert shown.template == TEMPLATE
    assert shown.capabilities == ["completion", "tools", "thinking"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.modelinfo["llama.context_length"] == 4096
    assert shown.modelinfo["tokenizer.ggml.tokens"] is None
    assert shown.details is not None
    assert shown.details.quantization_level == "F32"
    assert "/" not in (shown.modelfile or ""), "where a file lies is nobody's business"


def test_the_version_reads_as_three_numbers(gateway: Gateway) -> None:
    found = gateway.call("GET", "/api/version").json
    jsonschema_rs.validate(version.ANSWER, found)
    assert [int(part) for part in found["version"].split(".")] >= [0, 6, 4]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_words_by_which_clients_know_it(gateway: Gateway, method: str) -> None:
    answer = gateway.call(method, "/", key=False)
    assert (answer.status, answer.headers["content-length"]) == (200, "17")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.body == (b"Ollama is running" if method == "GET" else b"")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/chat", {"model": "no-such"}, 404),
        ("/api/generate", {"model": "no-such", "prompt": "x"}, 404),
        ("/api/show", {"model": "no-such"}, 404),
        ("/api/show", {}, 400),
        ("/api/show", {"model": 7}, 400),
        ("/api/show", {"model": "x", "options2": {}}, 400),
        ("/api/show", [], 400),
        ("/api/chat", {"model": ""}, 400),
        ("/api/chat", {}, 400),
        ("/api/chat", b"{", 400),
        ("/api/tags", {}, 405),
    ],
)
def test_errors_have_the_form_of_ollama(gateway: Gateway, path: str, body: Any, status: int) -> None:
    answer = gateway.call("POST", path, body)
    assert answer.status == status
    jsonschema_rs.validate(ERROR, answer.json)
    assert answer.headers["x-orch-request-id"]


def test_no_key_is_401_in_the_form_of_ollama(gateway: Gateway) -> None:
    for method, path in (("GET", "/api/tags"), ("POST", "/api/chat")):
        answer = gateway.call(method, path, None if method == "GET" else {"model": "x"}, key=False)
        assert answer.status == 401
        jsonschema_rs.validate(ERROR, answer.json)


def test_another_model_is_loaded_when_asked_for(client: ollama.Client) -> None:
    found = client.chat("orch-demo:latest", messages=[{"role": "user", "content": "Hello"}], options={"num_predict": 3})
    assert found.model == "orch-demo:latest"
    assert "orch-demo:latest" in {model.name for model in client.ps().models}


def test_a_client_that_goes_leaves_the_server_well(gateway: Gateway, client: ollama.Client) -> None:
    connection: http.client.HTTPConnection = gateway.connect()
    body = json.dumps({"model": first(client), "messages": [{"role": "user", "content": "x"}]})
    headers = {"content-type": "application/json", "authorization": f"Bearer {gateway.key}"}
    connection.request("POST", "/api/chat", body, headers)
    connection.getresponse().readline()
    connection.close()
    assert client.chat(first(client), messages=[{"role": "user", "content": "x"}], options={"num_predict": 1}).done
