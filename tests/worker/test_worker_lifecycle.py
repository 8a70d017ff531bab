# SPDX-License-Identifier: GPL-3.0-or-later
"""How a worker begins and ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_worker_streams import ENDLESS, first_text, rest
from worker_process import WAIT, Worker, until

DEFECT = str(Path(__file__).with_name("broken_engine.py"))


def test_a_starting_worker_says_how_far_it_is(start_worker: Callable[..., Worker]) -> None:
    said = start_worker("--context", "512").said
    assert [event["event"] for event in said if event["event"] != "loading"] == ["ready"]
    progress = [event["progress"] for event in said if event["event"] == "loading"]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == (0.0, 1.0)


def test_health_while_loading(start_worker: Callable[..., Worker], home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = home / "go-on"
    monkeypatch.setenv("GO_ON", str(go_on))
    worker = start_worker(command=(DEFECT,), ready=False)
    until(lambda: worker.socket is not None and worker.socket.exists(), "it listens")
    until(lambda: _answers(worker), "it answers")
    health = worker.call("GET", "/health")
    assert (health.status, health.json["status"]) == (503, "loading")
    refused = worker.chat()
    assert (refused.status, refused.error["code"]) == (503, "worker_loading")
    assert worker.call("GET", "/v1/models").status == 503
    go_on.touch()
    assert worker.read_said()[-1]["event"] == "ready"
    assert worker.chat(max_tokens=1).status == 200


def _answers(worker: Worker) -> bool:
    try:
        return worker.health()["status"] == "loading"
    except OSError:
        return False


def test_told_to_stop_while_loading(
    start_worker: Callable[..., Worker], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GO_ON", str(home / "never"))
    worker = start_worker(command=(DEFECT,), ready=False)
    until(lambda: worker.socket is not None and worker.socket.exists() and _answers(worker), "it answers")
    worker.process.terminate()
    assert worker.process.wait(WAIT) == 0
    assert worker.socket is not None
    assert not worker.socket.exists()


def test_it_ends_by_itself_when_nobody_asks(start_worker: Callable[..., Worker]) -> None:
    began = time.monotonic()
    worker = start_worker("--keep-alive", "0.5")
    assert worker.chat(max_tokens=3).status == 200
    assert worker.process.wait(WAIT) == 0
    assert time.monotonic() - began < 30
    assert worker.socket is not None
    assert not worker.socket.exists()
    assert "ending: idle" in worker.log


def test_a_running_answer_keeps_it_alive(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "4096", "--keep-alive", "0", "--slots", "1")
    connection = worker.open_chat(stream=True, **ENDLESS | {"max_tokens": 4000})
    answer = first_text(connection)
    assert worker.health()["expires_in"] is None
    assert rest(answer)[-1] == "[DONE]"
    connection.close()
    assert worker.process.wait(WAIT) == 0


def test_the_longest_keep_alive_wins(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--keep-alive", "6")
    assert worker.health()["expires_in"] <= 6
    worker.call("GET", "/health", headers={"x-orch-keep-alive": "600"})
    assert 590 < worker.health()["expires_in"] <= 600
    worker.call("GET", "/health", headers={"x-orch-keep-alive": "1"})
    assert worker.health()["expires_in"] > 590
    assert worker.call("GET", "/health", headers={"x-orch-keep-alive": "soon"}).status == 400
    worker.call("GET", "/health", headers={"x-orch-keep-alive": "-1"})
    assert worker.health()["expires_in"] is None


def test_keep_alive_zero_ends_with_the_starter(start_worker: Callable[..., Worker]) -> None:
    reading, writing = os.pipe()
    worker = start_worker("--keep-alive", "0", "--lifeline-fd", str(reading), pass_fds=[reading])
    os.close(reading)
    assert worker.chat(max_tokens=3).status == 200
    assert worker.health()["expires_in"] is None
    assert worker.process.poll() is None
    os.close(writing)
    assert worker.process.wait(WAIT) == 0


def test_told_to_stop_it_lets_answers_finish(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "4096", "--drain", "60")
    connection = worker.open_chat(stream=True, **ENDLESS | {"max_tokens": 1500})
    answer = first_text(connection)
    worker.process.terminate()
    events = rest(answer)
    connection.close()
    assert events[-1] == "[DONE]"
    assert worker.process.wait(WAIT) == 0
    assert worker.socket is not None
    assert not worker.socket.exists()


def test_told_to_stop_it_does_not_wait_for_ever(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "4096", "--drain", "0.05")
    streamed = worker.open_chat(stream=True, **ENDLESS | {"max_tokens": 4000})
    whole = worker.open_chat("whole", **ENDLESS | {"max_tokens": 4000})
    answer = first_text(streamed)
    until(lambda: worker.health()["active"] == 2, "both run")
    worker.process.terminate()
    events = rest(answer)
    assert events[-1]["error"]["code"] == "worker_stopping"
    assert "[DONE]" not in events
    refused = whole.getresponse()
    assert refused.status == 503
    assert b"worker_stopping" in refused.read()
    streamed.close()
    whole.close()
    assert worker.process.wait(WAIT) == 0


def test_killed_by_interrupt_it_drains_as_well(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker()
    worker.process.send_signal(signal.SIGINT)
    assert worker.process.wait(WAIT) == 0


def test_a_dead_decode_thread_fails_everything_and_ends_the_worker(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "4096", command=(DEFECT,))
    refusals: list[int] = []
    asking = threading.Thread(target=lambda: refusals.append(worker.chat("whole", **ENDLESS).status))
    asking.start()
    connection = worker.open_chat(stream=True, **ENDLESS)
    answer = connection.getresponse()
    body = answer.read()
    asking.join(WAIT)
    assert answer.status == 503 or (b'"error"' in body and b"[DONE]" not in body)
    assert refusals == [503]
    assert worker.process.wait(WAIT) == 1
    connection.close()
    assert "a planted defect" in worker.log
    assert worker.socket is not None
    assert not worker.socket.exists()


def test_a_file_that_is_no_model(start_worker: Callable[..., Worker], home: Path, tiny_gguf: Path) -> None:
    whole = tiny_gguf.read_bytes()
    for name, content in (("empty", b""), ("text", b"hello" * 1000), ("cut", whole[: len(whole) // 2])):
        file = home / f"{name}.gguf"
        file.write_bytes(content)
        worker = start_worker(ready=False, model=file)
        last = worker.read_said()[-1]
        assert last["event"] == "failed"
        assert last["message"]
        assert "Traceback" not in last["message"]
        assert worker.process.wait(WAIT) == 1
        assert worker.socket is not None
        assert not worker.socket.exists()


def test_a_socket_path_that_is_too_long(start_worker: Callable[..., Worker], home: Path) -> None:
    worker = start_worker("--socket", str(home / ("x" * 120)), ready=False)
    last = worker.read_said()[-1]
    assert last["event"] == "failed"
    assert "cannot listen on" in last["message"]
    assert last["hint"]
    assert worker.process.wait(WAIT) == 1


def test_a_starter_that_goes_does_not_stop_it(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker(ready=False)
    assert worker.process.stdout is not None
    worker.process.stdout.close()
    until(lambda: _ready(worker), "it serves")
    assert worker.chat(max_tokens=1).status == 200


def _ready(worker: Worker) -> bool:
    try:
        return worker.health()["status"] == "ok"
    except OSError:
        return False


def test_a_full_disk_is_said_in_words(start_worker: Callable[..., Worker], home: Path) -> None:
    """The record cannot be written: the worker says so instead of running unseen."""
    folder = home / "full"
    folder.mkdir()
    (folder / "a.json.partial").symlink_to("/dev/full")
    lock = os.open(folder / "a.lock", os.O_RDWR | os.O_CREAT)
    options = ("--socket", str(folder / "a.sock"), "--lock-fd", str(lock))
    worker = start_worker(*options, ready=False, pass_fds=[lock])
    os.close(lock)
    last = worker.read_said()[-1]
    assert last["event"] == "failed"
    assert "No space left" in last["message"]
    assert worker.process.wait(WAIT) == 1
    assert not (folder / "a.sock").exists()
    assert not (folder / "a.lock").exists()
