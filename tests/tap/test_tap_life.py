# SPDX-License-Identifier: GPL-3.0-or-later
"""From the first byte to the last: loading, waiting, dying workers, draining, ending, starting again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import CHAT, KEY, Gateway, Reply, hear, start, until
from processes import freeze, workers_of

ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "max_tokens": 1900, "logit_bias": {"509": -100, "511": -100}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def held(pid: int) -> Iterator[None]:
    """The process stands still."""
    freeze(pid)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def link(home: Path, model: Path, name: str) -> None:
    """Installs a model under a name in the home of a gateway."""
    subprocess.run(
        [sys.executable, "-m", "llama_orch.cli", "models", "link", str(model), "--name", name],
        env=os.environ | {"ORCH_HOME": str(home)},
        check=True,
        capture_output=True,
    )


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


def test_while_the_first_model_loads(home: Path, tiny_gguf: Path) -> None:
    gateway = start(home, tiny_gguf, ready=False, port=free_port(), slots=1, context=1024, installed=False)
    port = json.loads(gateway.process.args[-1])["port"]  # type: ignore[index]
    gateway.url, gateway.key = f"http://127.0.0.1:{port}", KEY
    pid = until(lambda: workers_of(home), "its worker starts")[0]
    try:
        with held(pid):
            answer = until(lambda: _answered(gateway), "it listens")
            assert answer.status == 503
            assert gateway.call("GET", "/ready", key=False).status == 503
            refused = gateway.chat()
            assert (refused.status, refused.error["code"]) == (503, "loading")
            assert int(refused.headers["retry-after"]) >= 1
            assert gateway.call("GET", "/v1/models").status == 200
        hear(gateway)
        assert gateway.call("GET", "/health", key=False).json == {"status": "ok"}
        assert gateway.chat().status == 200
    finally:
        gateway.end()


def _answered(gateway: Gateway) -> Reply | None:
    try:
        return gateway.call("GET", "/health", key=False)
    except OSError:
        return None


def test_a_stream_is_kept_alive_while_its_model_loads(home: Path, tiny_gguf: Path) -> None:
    link(home, tiny_gguf, "second")
    gateway = start(home, tiny_gguf, ping=0.2, slots=1, context=1024, threads=1)
    try:
        first = set(workers_of(home))
        connection = gateway.open_chat(model="second", stream=True, max_tokens=4)
        pid = until(lambda: set(workers_of(home)) - first, "the second worker starts").pop()
        with held(pid):
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.readline() == b": keep-alive\n"
            broken = gateway.chat(model="second", stream=True, temperature="hot")
            assert (broken.status, broken.error["param"]) == (400, "/temperature")
            refused = gateway.open_chat(model="second", stream=True, messages=[], n=1)
        text = answer.read().decode()
        assert text.rstrip().endswith("data: [DONE]")
        assert "x-orch-receipt" not in text
        assert '"model": "second"' in text
        assert refused.getresponse().status in (200, 400)
        connection.close()
        refused.close()
    finally:
        gateway.end()


def test_an_error_after_comments_is_the_streams_last_frame(home: Path, tiny_gguf: Path) -> None:
    """The stream had to be begun before the error was known: it ends by an error frame, and without [DONE]."""
    link(home, tiny_gguf, "second")
    gateway = start(home, tiny_gguf, ping=0.2, slots=1, context=1024, threads=1)
    try:
        first = set(workers_of(home))
        connection = gateway.open_chat("long " * 2000, model="second", stream=True)
        pid = until(lambda: set(workers_of(home)) - first, "the second worker starts").pop()
        with held(pid):
            answer = connection.getresponse()
            assert answer.readline() == b": keep-alive\n"
        last = [line for line in answer.read().decode().split("\n") if line][-1]
        error = json.loads(last.removeprefix("data: "))["error"]
        assert error["code"] == "context_length_exceeded"
        assert error["limit"] == 1024
        connection.close()
    finally:
        gateway.end()


@pytest.mark.parametrize("stream", [True, False])
def test_a_worker_that_dies(start_gateway: Callable[..., Gateway], stream: bool) -> None:
    """Its requests get a typed 503, or the stream an error; the next request starts it anew."""
    gateway = start_gateway(slots=1)
    pid = gateway.worker_health()["pid"]
    with held(pid):
        connection = gateway.open_chat(stream=stream, **ENDLESS)
        time_limit = time.monotonic() + 10
        while b'gen_ai_request_model="tiny"} 1.0' not in gateway.call("GET", "/metrics").body:
            assert time.monotonic() < time_limit
        os.kill(pid, signal.SIGKILL)
    answer = connection.getresponse()
    assert answer.status == 503
    error = json.loads(answer.read())["error"]
    assert error["code"] == "worker_died"
    assert str(gateway.home) not in json.dumps(error)
    connection.close()
    again = until(lambda: _served(gateway), "it is back", 30)
    assert again.json["choices"]


def test_a_worker_that_takes_no_connections_is_replaced(start_gateway: Callable[..., Gateway]) -> None:
    """The request that finds out is answered by the next one."""
    gateway = start_gateway(slots=1)
    pid = gateway.worker_health()["pid"]
    for path in gateway.home.rglob("*.sock"):
        path.unlink()
    assert gateway.chat(max_tokens=2).status == 200
    assert gateway.worker_health()["pid"] != pid
    until(lambda: pid not in workers_of(gateway.home), "it was ended")


def _served(gateway: Gateway) -> Reply | None:
    answer = gateway.chat(max_tokens=2)
    assert answer.status in (200, 503)
    return answer if answer.status == 200 else None


def test_a_worker_that_dies_in_the_midst_of_a_stream(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(slots=1)
    connection = gateway.open_chat(stream=True, **ENDLESS)
    answer = connection.getresponse()
    assert answer.readline().startswith(b"data: ")
    os.kill(gateway.worker_health()["pid"], signal.SIGKILL)
    lines = [line for line in answer.read().decode().split("\n") if line]
    connection.close()
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "worker_died"
    assert "data: [DONE]" not in lines


def test_told_to_end_it_lets_answers_finish(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(slots=1, grace=20.0)
    pid = gateway.worker_health()["pid"]
    with held(pid):
        whole = gateway.open_chat(**ENDLESS | {"max_tokens": 20})
        stream = gateway.open_chat(stream=True, **ENDLESS | {"max_tokens": 20})
        idle = gateway.connect()
        idle.request("GET", "/health")
        assert idle.getresponse().read()
        until(
            lambda: 'running{gen_ai_request_model="tiny"} 2.0' in gateway.call("GET", "/metrics").body.decode(),
            "two run",
        )
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: not _listens(gateway), "it listens no more")
        assert gateway.process.poll() is None
    answer = whole.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["usage"]["completion_tokens"] == 20
    assert stream.getresponse().read().rstrip().endswith(b"data: [DONE]")
    assert gateway.process.wait(30) == 0
    assert not workers_of(gateway.home)
    for connection in (whole, stream, idle):
        connection.close()


def _listens(gateway: Gateway) -> bool:
    try:
        socket.create_connection(gateway.address, timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("twice", [False, True])
def test_after_the_grace_period_it_ends(start_gateway: Callable[..., Gateway], twice: bool) -> None:
    """Or at the second signal, at once."""
    gateway = start_gateway(slots=1, grace=60.0 if twice else 1.0)
    pid = gateway.worker_health()["pid"]
    with held(pid):
        whole = gateway.open_chat(**ENDLESS)
        stream = gateway.open_chat(stream=True, **ENDLESS)
        until(
            lambda: 'running{gen_ai_request_model="tiny"} 2.0' in gateway.call("GET", "/metrics").body.decode(),
            "two run",
        )
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        if twice:
            until(lambda: not _listens(gateway), "it listens no more")
            gateway.process.send_signal(signal.SIGTERM)
        for connection in (whole, stream):
            answer = connection.getresponse()
            assert answer.status == 503
            assert json.loads(answer.read())["error"]["code"] == "stopping"
            connection.close()
        assert gateway.process.wait(30) == 0
        assert time.monotonic() - began < 20
    assert not workers_of(gateway.home)


def test_killed_it_leaves_nothing_that_hinders_the_next(home: Path, tiny_gguf: Path) -> None:
    port = free_port()
    for _ in range(2):
        gateway = start(home, tiny_gguf, port=port, slots=1, context=1024, threads=1, installed=False)
        running = gateway.open_chat(stream=True, **ENDLESS | {"max_tokens": 900})
        running.getresponse().readline()
        gateway.end(signal.SIGKILL)
        running.close()
        until(lambda: not workers_of(home), "the worker ends with it", 20)
    assert not list(home.rglob("*.sock"))


def test_tls(home: Path, tiny_gguf: Path) -> None:
    cert, key = _certificate(home)
    gateway = start(
        home,
        tiny_gguf,
        slots=1,
        context=1024,
        threads=1,
        installed=False,
        cert=str(cert),
        key_file=str(key),
        head_seconds=2.0,
    )
    try:
        assert gateway.url.startswith("https://")
        gateway.cert = cert
        assert gateway.chat(max_tokens=2).status == 200
        assert gateway.chat(max_tokens=2, stream=True).events[-1] == "[DONE]"
        plain = gateway.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"ok" not in plain
        began = time.monotonic()
        assert gateway.raw(b"\x16\x03") == b""  # a handshake that stops half-way is a head that does
        assert time.monotonic() - began < 20
        assert gateway.chat(max_tokens=2).status == 200
    finally:
        gateway.end()


def _certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


def test_without_a_key_of_its_own_one_is_made(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(key=None)
    assert gateway.key is not None
    assert len(gateway.key) > 40
    assert gateway.chat(max_tokens=1).status == 200
    assert gateway.call("GET", "/v1/models", key=False).status == 401
    assert gateway.key not in gateway.log


def test_without_any_key_where_that_was_wished(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(key=None, no_auth=True)
    assert gateway.key is None
    assert gateway.chat(max_tokens=1).status == 200
    assert gateway.call("POST", CHAT, {}, headers={"host": "evil.example"}).status == 403
    assert gateway.call("POST", CHAT, {}, headers={"origin": "http://evil.example"}).status == 403


def test_several_models_are_never_mixed_up(home: Path, tiny_gguf: Path, demo_gguf: Path) -> None:
    link(home, tiny_gguf, "second:8b")
    gateway = start(home, tiny_gguf, demo_gguf, slots=1, context=512, threads=1)
    try:
        assert sorted(gateway.ready["models"]) == ["orch-demo", "tiny"]
        listed = [model["id"] for model in gateway.call("GET", "/v1/models").json["data"]]
        assert {"tiny", "orch-demo", "second:8b"} <= set(listed)
        for name in ("tiny", "orch-demo", "second:8b", "tiny:latest"):
            assert gateway.chat(model=name, max_tokens=2).json["model"] == name
        assert gateway.chat(max_tokens=2).status == 200
        assert gateway.call("GET", "/v1/models/second:8b").json["id"] == "second:8b"
        assert gateway.chat(model=str(tiny_gguf)).status == 404
    finally:
        gateway.end()


def test_receipts_are_for_the_gateway_alone(gateway: Gateway) -> None:
    for answer in (
        gateway.chat(max_tokens=3, headers={"x-orch-receipt": "1"}),
        gateway.chat(max_tokens=3, stream=True, headers={"x-orch-receipt": "1", "x-orch-model": "other"}),
    ):
        assert answer.status == 200
        assert "x-orch-receipt" not in answer.headers
        assert b"x-orch-receipt" not in answer.body
    counted = gateway.call("GET", "/metrics").body.decode()
    assert 'gen_ai_token_type="output"} 6.0' in counted
