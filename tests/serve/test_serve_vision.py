# SPDX-License-Identifier: GPL-3.0-or-later
"""Images through a real `orch serve`: every dialect, counts, refusals, and the command line."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from serve_process import Served, serving
from vision_models import ROWS, bmp, data_url, png, shared_projector

from llama_orch_utils import Client

Orch = Callable[..., "CompletedProcess[bytes]"]
PNG = png()
URL, DATA = data_url(PNG), base64.b64encode(PNG).decode()
IMAGE = {"type": "image_url", "image_url": {"url": URL}}
TEXT = {"type": "text", "text": "What is it?"}
BLOCK = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DATA}}
INPUT = [{"type": "input_image", "image_url": URL}, {"type": "input_text", "text": "What is it?"}]


@pytest.fixture
def seer(run_orch: Orch, tiny_gguf: Path, shared_folder: Path) -> str:
    """A linked model with a projector."""
    return _link(run_orch, tiny_gguf, shared_folder)


def _link(run: Orch, model: Path, shared: Path) -> str:
    projector = shared_projector(shared, "mlp")
    done = run("models", "link", str(model), "--name", "seer", "--projector", str(projector))
    assert done.returncode == 0, done.stderr
    return "seer"


@pytest.fixture(scope="module")
def served(tiny_gguf: Path, shared_folder: Path) -> Iterator[Served]:
    """One server for all: no test changes what another sees of it."""
    with tempfile.TemporaryDirectory(prefix="orch-", dir="/tmp") as home:
        told = {**os.environ, "ORCH_HOME": home}

        def run(*words: str) -> CompletedProcess[bytes]:
            command = [sys.executable, "-m", "llama_orch.cli", *words]
            return subprocess.run(command, env=told, capture_output=True, timeout=120, check=False)

        name = _link(run, tiny_gguf, shared_folder)
        arguments = ("--model", name, "--slots", "2", "--context", "512")
        with serving(*arguments, small=False, env={"ORCH_HOME": home}) as found:
            yield found


def _post(served: Served, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    status, answer, _ = served.ask("POST", path, {"model": "seer", **body})
    return status, json.loads(answer)


def _user(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content, **more}], "max_tokens": 2}


def test_every_dialect_sees(served: Served) -> None:
    status, bare = _post(served, "/v1/chat/completions", _user("What is it?"))
    assert status == 200, bare
    rows = ROWS["mlp"]
    status, seen = _post(served, "/v1/chat/completions", _user([IMAGE, TEXT]))
    assert status == 200, seen
    counted = seen["usage"]["prompt_tokens"]
    assert counted == bare["usage"]["prompt_tokens"] + rows
    status, said = _post(served, "/v1/messages", _user([BLOCK, TEXT]))
    assert status == 200, said
    usage = said["usage"]
    assert usage["input_tokens"] + usage.get("cache_read_input_tokens", 0) == counted
    status, said = _post(served, "/v1/messages/count_tokens", {"messages": _user([BLOCK, TEXT])["messages"]})
    assert (status, said["input_tokens"]) == (200, counted)
    asked = {"input": [{"role": "user", "content": INPUT}], "max_output_tokens": 2, "store": True}
    status, said = _post(served, "/v1/responses", asked)
    assert (status, said["usage"]["input_tokens"]) == (200, counted), said
    more = {"previous_response_id": said["id"], "input": "And now?", "max_output_tokens": 2}
    status, said = _post(served, "/v1/responses", more)
    assert status == 200, said
    assert said["usage"]["input_tokens"] > counted
    status, said = _post(served, "/v1/responses/input_tokens", {"input": [{"role": "user", "content": INPUT}]})
    assert (status, said["input_tokens"]) == (200, counted), said
    options = {"options": {"num_predict": 2}, "stream": False}
    ollama = {"messages": [{"role": "user", "content": "What is it?", "images": [DATA]}], **options}
    status, said = _post(served, "/api/chat", ollama)
    assert (status, said["prompt_eval_count"]) == (200, counted), said
    status, said = _post(served, "/api/generate", {"prompt": "What is it?", "images": [DATA], **options})
    assert (status, said["prompt_eval_count"]) == (200, counted), said


def test_the_model_says_that_it_sees(served: Served) -> None:
    _, listed, _ = served.ask("GET", "/v1/models")
    (entry,) = [each for each in json.loads(listed)["data"] if each["id"] == "seer"]
    assert "vision" in json.dumps(entry)
    status, shown = _post(served, "/api/show", {})
    assert status == 200
    assert "vision" in shown["capabilities"]


def test_another_image_another_prompt_and_the_same_from_the_cells(served: Served) -> None:
    def ask(url: str) -> Any:
        body = _user([{"type": "text", "text": "A long beginning that is worth keeping, " * 4},
                      {"type": "image_url", "image_url": {"url": url}}, TEXT])  # fmt: skip
        status, said = _post(served, "/v1/chat/completions", body | {"logprobs": True, "top_logprobs": 5, "seed": 1})
        assert status == 200, said
        return said

    first, again, other = ask(URL), ask(URL), ask(data_url(bmp(), "image/bmp"))
    cached = [said["usage"]["prompt_tokens_details"]["cached_tokens"] for said in (first, again, other)]
    assert cached[1] == first["usage"]["prompt_tokens"]
    assert cached[2] < cached[1] - ROWS["mlp"]
    tokens = [said["choices"][0]["logprobs"]["content"][0]["top_logprobs"] for said in (first, again, other)]
    assert tokens[0] == tokens[1] != tokens[2]


@pytest.mark.parametrize(
    ("part", "status", "words"),
    [
        ({"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/cat.png"}}, 400, "http address"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}, 400, "base64"),
        ({"type": "image_url", "image_url": {"url": data_url(PNG[:70])}}, 400, "broken"),
        ({"type": "image_url", "image_url": {"url": data_url(b"GIF89a" + b"\xff" * 20)}}, 400, "pixels"),
        ({"type": "image_url", "image_url": {"url": data_url(b"hello")}}, 400, "no PNG"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, 400, "input_audio"),
    ],
)
def test_what_cannot_be_seen_is_an_error_with_its_place(
    served: Served, part: dict[str, Any], status: int, words: str
) -> None:
    found, said = _post(served, "/v1/chat/completions", _user([TEXT, part]))
    assert (found, words in said["error"]["message"]) == (status, True), said
    assert said["error"]["param"].startswith("/messages/0/content/1")
    assert _post(served, "/v1/chat/completions", _user("Still there?"))[0] == 200


def test_too_many_images_for_the_context(served: Served) -> None:
    status, said = _post(served, "/v1/chat/completions", _user([IMAGE] * 40))
    assert (status, said["error"]["code"]) == (400, "context_length_exceeded"), said


def test_a_model_without_a_projector_refuses_by_name(run_orch: Orch, tiny_gguf: Path) -> None:
    assert run_orch("models", "link", str(tiny_gguf), "--name", "blind").returncode == 0
    with serving("--model", "blind") as found:
        body = _user([TEXT, IMAGE]) | {"model": "blind"}
        status, answer, _ = found.ask("POST", "/v1/chat/completions", body)
        error = json.loads(answer)["error"]
        assert (status, error["param"]) == (400, "/messages/0/content/1/image_url/url")
        assert "no projector" in error["message"]


def test_the_command_line_and_the_client_see(seer: str, run_orch: Orch, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)
    told = ("run", "--model", seer, "--context", "512", "-a", str(tmp_path / "cat.png"))
    none = run_orch(*told, "--projector", "none", "What is it?")
    assert none.returncode != 0
    assert b"does not see" in none.stderr
    done = run_orch(*told, "What is it?")
    assert done.returncode == 0, done.stderr
    with Client("local", model=seer) as client:
        told_parts: Any = [{"role": "user", "content": [TEXT, IMAGE]}]
        answer = client.chat(told_parts, max_tokens=2)
        assert answer.usage is not None
        assert answer.usage.input_tokens > ROWS["mlp"]
