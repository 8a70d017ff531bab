# SPDX-License-Identifier: GPL-3.0-or-later
"""The prebuilt engine: xllamacpp's wheel, for real, behind the worker's own HTTP surface."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from engine_home import Orch, offline
from engines_waiting import WAIT, until

from llama_orch.pool.local import launcher
from llama_orch_utils.errors import EngineFailed
from llama_orch_utils.targets.local import LocalWorker, WorkerSettings

QUESTION = [{"role": "user", "content": "What is the Public Tap?"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


@pytest.fixture
def prebuilt(run_orch: Orch, packages: Path, ready: Path) -> Any:
    done = run_orch("engine", "build", "--prebuilt", "--no-speed", *offline(packages), "--find-links", str(ready))
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def worker(prebuilt: Any) -> LocalWorker:
    events: list[Any] = []
    found = launcher(None, WorkerSettings(engine="prebuilt"), events.append)
    assert any("slower" in event.message for event in events)
    return found


def opened(worker: LocalWorker) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("localhost", timeout=WAIT)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(WAIT)
    connection.sock.connect(worker.socket or "")
    return connection


def ask(worker: LocalWorker, path: str, **body: Any) -> tuple[int, Any]:
    connection = opened(worker)
    try:
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def streamed(worker: LocalWorker, path: str, **body: Any) -> list[dict[str, Any]]:
    connection = opened(worker)
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    assert lines[-2] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]


def health(worker: LocalWorker) -> dict[str, Any]:
    connection = opened(worker)
    connection.request("GET", "/health")
    found = json.loads(connection.getresponse().read())
    connection.close()
    return found


def test_it_needs_no_compiler_and_answers(prebuilt: Any, run_orch: Orch, tmp_path: Path) -> None:
    assert b"compiling" not in prebuilt.stderr
    (row,) = [each for each in json.loads(run_orch("engine", "ls", "--json").stdout) if each["in_use"]]
    assert (row["name"], row["kind"], row["backend"], row["state"]) == ("prebuilt", "prebuilt", "cpu", "ok")
    done = run_orch("run", "What is the Public Tap?", env={"PATH": str(tmp_path)})
    assert b"prepaid credits" in done.stdout
    assert b"warning: The prebuilt engine runs on any processor, and slower" in done.stderr
    found = {each["name"]: each["state"] for each in json.loads(run_orch("doctor", "--json").stdout)}
    assert (found["engine"], found["smoke test"]) == ("ok", "ok")


def test_the_workers_surface(worker: LocalWorker) -> None:
    status, whole = ask(worker, "/v1/chat/completions", messages=QUESTION, temperature=0)
    assert status == 200
    text = whole["choices"][0]["message"]["content"]
    assert "prepaid credits" in text
    assert whole["choices"][0]["finish_reason"] == "stop"
    frames = streamed(worker, "/v1/chat/completions", messages=QUESTION, temperature=0)
    assert "".join(each["choices"][0]["delta"].get("content", "") for each in frames if each["choices"]) == text
    usage = frames[-1]["usage"]
    assert usage["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert usage["prompt_tokens"] == whole["usage"]["prompt_tokens"]

    status, cut = ask(worker, "/v1/chat/completions", messages=QUESTION, temperature=0, max_tokens=3)
    assert (cut["choices"][0]["finish_reason"], cut["usage"]["completion_tokens"]) == ("length", 3)
    assert text.startswith(cut["choices"][0]["message"]["content"])
    status, stopped = ask(worker, "/v1/chat/completions", messages=QUESTION, temperature=0, stop=["shared"])
    assert stopped["choices"][0]["message"]["content"] == text.partition("shared")[0]
    status, two = ask(worker, "/v1/completions", prompt="Hello", n=2, max_tokens=4, temperature=0, echo=True)
    assert [choice["text"].startswith("Hello") for choice in two["choices"]] == [True, True]
    assert two["usage"]["completion_tokens"] == 8
    status, anthropic = ask(worker, "/v1/messages", model=worker.model, messages=QUESTION, max_tokens=4)
    assert (status, anthropic["usage"]["output_tokens"]) == (200, 4)

    tokens = ask(worker, "/tokenize", content="What is the Public Tap? é")[1]["tokens"]
    assert ask(worker, "/detokenize", tokens=tokens)[1]["content"] == "What is the Public Tap? é"
    assert ask(worker, "/tokenize", content="a", add_special=True)[0] == 200
    marked = ask(worker, "/tokenize", content="<|im_start|>")[1]["tokens"]
    assert len(marked) == 1
    assert len(ask(worker, "/tokenize", content="<|im_start|>", parse_special=False)[1]["tokens"]) > 1
    biased = {str(ask(worker, "/tokenize", content="The")[1]["tokens"][0]): -100}
    other = ask(worker, "/v1/chat/completions", messages=QUESTION, temperature=0, logit_bias=biased)[1]
    assert not other["choices"][0]["message"]["content"].startswith("The ")


def test_what_it_cannot_do_is_refused_by_name(worker: LocalWorker) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    for wish, capability in (
        ({"tools": [TOOL]}, "tools and schemas"),
        ({"response_format": {"type": "json_object"}}, "json_schema"),
        ({"response_format": schema}, "json_schema"),
        ({"logprobs": True}, "logprobs"),
        ({"grammar": 'root ::= "x"'}, "grammar"),
    ):
        status, said = ask(worker, "/v1/chat/completions", messages=QUESTION, **wish)
        assert status == 400
        assert (said["error"]["code"], said["error"]["capability"]) == ("unsupported", capability)
        assert "prebuilt engine cannot" in said["error"]["message"]
        assert said["error"]["hint"].startswith("orch engine build")


def test_too_long_a_prompt_is_told_with_both_numbers(worker: LocalWorker) -> None:
    status, said = ask(worker, "/v1/completions", prompt="x" * 20_000)
    assert (status, said["error"]["code"]) == (400, "context_length_exceeded")
    assert said["error"]["asked"] > said["error"]["limit"] == health(worker)["context"]
    assert ask(worker, "/v1/embeddings", input="x")[0] == 400


def test_a_client_that_goes_frees_its_place_and_many_are_answered_at_once(worker: LocalWorker) -> None:
    connection = opened(worker)
    body = {"prompt": "Hello", "max_tokens": 450, "temperature": 0, "stream": True}
    connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse()
    assert answer.read(40)
    answer.close()
    connection.close()
    until(lambda: health(worker)["active"] == 0, "its place is free")
    texts: list[str] = []

    def one() -> None:
        texts.append(
            ask(worker, "/v1/chat/completions", messages=QUESTION, temperature=0)[1]["choices"][0]["message"]["content"]
        )

    threads = [threading.Thread(target=one) for _ in range(10)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(WAIT)
    assert len(texts) == 10
    assert all("prepaid credits" in text for text in texts)


def test_load_options_that_it_has_not_are_refused(prebuilt: Any, tmp_path: Path) -> None:
    file = tmp_path / "there.gguf"
    file.write_bytes(b"GGUF")
    for settings, words in (
        (WorkerSettings(loras=((str(file), 1.0),)), "LoRA adapters"),
        (WorkerSettings(draft=str(file)), "a draft model"),
        (WorkerSettings(gpu="require"), "computes on the CPU"),
    ):
        with pytest.raises(EngineFailed, match=words) as caught:
            launcher(None, settings)
        assert caught.value.hint == "orch engine build"


def test_a_file_that_is_no_model_fails_in_words(prebuilt: Any, tmp_path: Path, demo_gguf: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(demo_gguf.read_bytes()[:100_000])
    with pytest.raises(EngineFailed) as caught:
        launcher(str(broken), WorkerSettings())
    assert "broken.gguf" in caught.value.message
    assert caught.value.hint
