# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker over loopback TCP: the openai package as its client, and who may not come in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
from worker_process import Worker, start

KEY = "canary-key-0815"


@pytest.fixture(scope="module")
def tcp_worker(home: Path, tiny_gguf: Path) -> Iterator[Worker]:
    reading, writing = os.pipe()
    os.write(writing, KEY.encode())
    os.close(writing)
    options = ("--context", "1024", "--key-fd", str(reading))
    running = start(home, tiny_gguf, *options, tcp=True, pass_fds=[reading])
    os.close(reading)
    assert running.read_said()[-1]["event"] == "ready", running.log
    yield running
    running.end()


@pytest.fixture
def client(tcp_worker: Worker) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{tcp_worker.url}/v1", api_key=KEY, max_retries=0) as opened:
        yield opened


def test_the_openai_package_gets_an_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "Hi"}], max_tokens=5, temperature=0, stop=None
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    assert answer.choices[0].finish_reason == "length"
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").id == "tiny"


def test_the_openai_package_streams(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "Hi"}],
        max_tokens=5,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        logprobs=True,
        top_logprobs=2,
    )
    chunks = list(stream)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 5
    texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(text or "" for text in texts)


def test_the_openai_package_understands_the_errors(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="other", messages=[{"role": "user", "content": "Hi"}])
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as unserved:
        client.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": "Hi"}],
            functions=[{"name": "f"}],
        )
    assert (unserved.value.code, unserved.value.param) == ("unsupported", "/functions")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "invalid_api_key"),
        ({"authorization": "Bearer nonsense"}, 401, "invalid_api_key"),
        ({"authorization": f"Bearer {KEY}", "host": "evil.example"}, 403, "not_allowed"),
        ({"authorization": f"Bearer {KEY}", "host": "127.0.0.1.evil.example:80"}, 403, "not_allowed"),
        ({"authorization": f"Bearer {KEY}", "origin": "https://evil.example"}, 403, "not_allowed"),
        ({"authorization": f"Bearer {KEY}", "origin": "null"}, 403, "not_allowed"),
        ({"authorization": f"Bearer {KEY}", "origin": "http://localhost:3000"}, 200, None),
        ({"authorization": f"bearer {KEY}", "host": "localhost"}, 200, None),
        ({"x-api-key": KEY}, 200, None),
    ],
)
def test_who_comes_in(tcp_worker: Worker, headers: dict[str, str], status: int, code: str | None) -> None:
    answer = tcp_worker.call("GET", "/v1/models", headers=headers)
    assert answer.status == status
    if code is not None:
        assert answer.error["code"] == code
        assert KEY not in answer.body.decode()
    if status == 401:
        assert answer.headers["www-authenticate"] == "Bearer"


def test_health_needs_no_key_but_a_loopback_host(tcp_worker: Worker) -> None:
    assert tcp_worker.call("GET", "/health").status == 200
    assert tcp_worker.call("GET", "/health", headers={"host": "evil.example"}).status == 403


def test_the_key_stands_nowhere(tcp_worker: Worker) -> None:
    tcp_worker.call("GET", "/v1/models", headers={"authorization": f"Bearer {KEY}x"})
    arguments = Path(f"/proc/{tcp_worker.process.pid}/cmdline")
    if arguments.exists():
        assert KEY.encode() not in arguments.read_bytes()
    assert KEY not in tcp_worker.log


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.com"])
def test_other_addresses_are_not_listened_on(host: str, tiny_gguf: Path) -> None:
    command = [sys.executable, "-m", "llama_orch.worker", "--host", host, "--port", "0"]
    command += ["--model", str(tiny_gguf), "--name", "tiny"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "loopback" in ended.stderr


def test_a_taken_port_is_said_in_words(start_worker: Callable[..., Worker], home: Path, tiny_gguf: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        command = [sys.executable, "-m", "llama_orch.worker", "--port", str(port)]
        command += ["--model", str(tiny_gguf), "--name", "tiny"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert '"event": "failed"' in ended.stdout
    assert str(port) in ended.stdout
    assert "--port 0" in ended.stdout
    assert "Traceback" not in ended.stderr
