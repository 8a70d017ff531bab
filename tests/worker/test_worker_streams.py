# SPDX-License-Identifier: GPL-3.0-or-later
"""Many at once, slow ones, and ones that go away."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from worker_process import WAIT, UnixConnection, Worker, until

ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "max_tokens": 1900, "logit_bias": {"509": -100, "511": -100}}


def idle(worker: Worker) -> bool:
    health = worker.health()
    return health["active"] == health["queued"] == 0


def busy(worker: Worker, active: int, queued: int = 0) -> Callable[[], bool]:
    def look() -> bool:
        health = worker.health()
        return health["active"] == active and health["queued"] == queued

    return look


def first_text(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    """Reads until the first piece of text has come."""
    answer = connection.getresponse()
    assert answer.status == 200
    while b'"content": "' not in (line := answer.readline()) or b'"content": ""' in line:
        assert line
    return answer


def rest(answer: http.client.HTTPResponse) -> list[Any]:
    lines = [line[6:] for line in answer.read().decode().split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_while_decoding_frees_its_slot(worker: Worker, stream: bool) -> None:
    other = worker.open_chat("other", stream=True, **ENDLESS | {"max_tokens": 400})
    answer = first_text(other)
    gone = worker.open_chat("gone", stream=stream, **ENDLESS)
    if stream:
        first_text(gone)
    else:
        until(lambda: worker.health()["active"] >= 1, "the request runs")
    began = time.monotonic()
    gone.close()
    if gone.sock is not None:
        gone.sock.close()
    events = rest(answer)
    assert events[-1] == "[DONE]"
    until(lambda: idle(worker), "the slot is free", seconds=1 + time.monotonic() - began)
    other.close()
    assert "client gone" in worker.log


def test_a_client_that_goes_while_queued_or_in_prefill_frees_its_place(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "4096", "--slots", "1")
    running = worker.open_chat("one", stream=True, **ENDLESS | {"max_tokens": 3000})
    answer = first_text(running)
    for stream in (True, False):
        waiting = worker.open_chat("two", stream=stream, **ENDLESS)
        until(lambda: worker.health()["queued"] == 1, "it waits")
        drop(waiting)
        until(lambda: worker.health()["queued"] == 0, "its place is free", seconds=2)
    assert worker.health()["active"] == 1
    for stream in (True, False):
        prefill = worker.open_chat("long " * 1500, stream=stream, **ENDLESS)
        drop(prefill)
    assert rest(answer)[-1] == "[DONE]"
    until(lambda: idle(worker), "nothing runs", seconds=5)
    running.close()


def drop(connection: http.client.HTTPConnection) -> None:
    """Closes without a word, as a killed client does."""
    assert connection.sock is not None
    connection.sock.close()
    connection.close()


def test_sixteen_streams_get_on_together(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "512", "--slots", "16")
    counts = [0] * 16
    at_first_end: list[list[int]] = []
    lock = threading.Lock()

    def read(number: int) -> None:
        connection = worker.open_chat(f"stream {number}", stream=True, **ENDLESS | {"max_tokens": 200, "seed": number})
        answer = connection.getresponse()
        assert answer.status == 200
        for line in answer:
            if line.startswith(b"data: {") and b'"content": "' in line and b'"content": ""' not in line:
                with lock:
                    counts[number] += 1
            if line == b"data: [DONE]\n":
                with lock:
                    at_first_end.append(list(counts))
        connection.close()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(at_first_end) == 16
    first = at_first_end[0]
    assert max(first) / max(1, min(first)) < 2, first


def test_more_than_the_queue_holds_is_refused(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "2048", "--slots", "1", "--queue", "1")
    running = worker.open_chat(stream=True, **ENDLESS)
    first_text(running)
    waiting = worker.open_chat(stream=True, **ENDLESS)
    until(lambda: worker.health()["queued"] == 1, "one waits")
    refused = worker.chat(**ENDLESS)
    assert (refused.status, refused.error["code"]) == (429, "rate_limited")
    assert int(refused.headers["retry-after"]) >= 1
    drop(running)
    drop(waiting)
    until(lambda: idle(worker), "both are gone")
    assert worker.chat(max_tokens=1).status == 200


def test_comments_while_nothing_comes(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "4096", "--slots", "1", "--ping", "0.1")
    running = worker.open_chat(stream=True, **ENDLESS | {"max_tokens": 4000})
    first_text(running)
    ahead = worker.open_chat("ahead", **ENDLESS | {"max_tokens": 4000})
    until(busy(worker, active=1, queued=1), "two are before it")
    waiting = worker.open_chat(stream=True, **ENDLESS)
    answer = waiting.getresponse()
    assert answer.status == 200
    assert answer.readline() == b": keep-alive\n"
    drop(running)
    drop(ahead)
    assert rest(answer)[-1] == "[DONE]"
    waiting.close()


def test_a_reader_that_does_not_read_blocks_nobody_and_is_ended(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "4096", "--slots", "2", "--stream-buffer", "256")
    slow = UnixConnection(str(worker.socket))
    slow.connect()
    assert slow.sock is not None
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    body = json.dumps(
        {"messages": [{"role": "user", "content": "x"}], "stream": True, "logprobs": True, "top_logprobs": 20}
        | ENDLESS
        | {"max_tokens": 3900}
    )
    slow.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    assert select.select([slow.sock], [], [], WAIT)[0], "its answer has begun"
    assert worker.chat("quick", max_tokens=20, temperature=0).status == 200
    until(lambda: idle(worker), "the slow one was ended")
    events = rest(slow.getresponse())
    assert events[-1]["error"]["code"] == "client_too_slow"
    assert "[DONE]" not in events
    slow.close()


def test_a_hundred_clients_that_come_and_go_leave_nothing(worker: Worker) -> None:
    for number in range(100):
        connection = worker.open_chat(f"n{number}", stream=number % 2 == 0, **ENDLESS)
        if number % 3 == 0:
            with contextlib.suppress(TimeoutError):
                connection.sock.settimeout(0.01)  # pyright: ignore[reportOptionalMemberAccess]
                connection.sock.recv(1)  # pyright: ignore[reportOptionalMemberAccess]
        drop(connection)
    until(lambda: idle(worker), "nothing runs any more", seconds=10)
    assert worker.chat(max_tokens=3, temperature=0).status == 200
