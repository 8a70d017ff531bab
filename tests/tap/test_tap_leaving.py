# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that go: in the queue, in prefill, while decoding; streams or not. The slot is free within a second."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from gateway_process import CHAT, Gateway, answers, until

ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "max_tokens": 3500, "logit_bias": {"509": -100, "511": -100}}
LONG = "long " * 600


@pytest.fixture(scope="module")
def narrow(tiny_gguf: Any) -> Any:
    """One slot of 4096 tokens."""
    import shutil
    import tempfile
    from pathlib import Path

    from gateway_process import start

    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    running = start(home, tiny_gguf, context=4096, slots=1, installed=False, threads=1)
    yield running
    running.end()
    shutil.rmtree(home, ignore_errors=True)


def drop(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse | None = None) -> None:
    if connection.sock is not None:
        connection.sock.close()
    connection.close()
    if answer is not None:
        answer.close()


def first_text(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
    answer = connection.getresponse()
    assert answer.status == 200
    while b'"content": "' not in (line := answer.readline()) or b'"content": ""' in line:
        assert line
    return answer


def idle(gateway: Gateway) -> bool:
    health = gateway.worker_health()
    return health["active"] == health["queued"] == 0


def state(gateway: Gateway, active: int, queued: int) -> Callable[[], bool]:
    def look() -> bool:
        health = gateway.worker_health()
        return (health["active"], health["queued"]) == (active, queued)

    return look


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("when", ["prefill", "decode"])
def test_the_slot_is_free_within_a_second(narrow: Gateway, when: str, stream: bool) -> None:
    until(lambda: idle(narrow), "it is idle")
    gone = narrow.open_chat(LONG if when == "prefill" else "x", stream=stream, **ENDLESS | {"max_tokens": 900})
    answer = first_text(gone) if stream and when == "decode" else None
    until(lambda: narrow.worker_health()["active"] == 1, "it runs")
    began = time.monotonic()
    drop(gone, answer)
    until(lambda: idle(narrow), "the slot is free", seconds=2)
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("stream", [True, False])
def test_a_place_in_the_queue_is_free(narrow: Gateway, stream: bool) -> None:
    until(lambda: idle(narrow), "it is idle")
    running = narrow.open_chat(stream=True, **ENDLESS)
    answer = first_text(running)
    prepared = narrow.open_chat(stream=True, **ENDLESS)  # with the worker: one more than it has slots
    until(state(narrow, 1, 1), "the next one is prepared")
    waiting = [narrow.open_chat(str(number), stream=stream, **ENDLESS) for number in range(5)]
    depth = 'llama_orch_queue_depth{gen_ai_request_model="tiny"}'
    until(lambda: f"{depth} 5.0" in narrow.call("GET", "/metrics").body.decode(), "five wait")
    for connection in waiting:
        drop(connection)
    until(lambda: f"{depth} 0.0" in narrow.call("GET", "/metrics").body.decode(), "their places are free", seconds=2)
    assert answer.readline() is not None
    drop(prepared)
    until(state(narrow, 1, 0), "the worker's queue is empty", seconds=2)
    drop(running, answer)
    until(lambda: idle(narrow), "all is free", seconds=2)


def test_others_do_not_notice(gateway: Gateway) -> None:
    kept = gateway.open_chat("other", stream=True, **ENDLESS | {"max_tokens": 300})
    answer = first_text(kept)
    for _ in range(5):
        gone = gateway.open_chat("gone", stream=True, **ENDLESS | {"max_tokens": 1500})
        drop(gone, first_text(gone))
    lines = [line[6:] for line in answer.read().decode().split("\n") if line.startswith("data: ")]
    kept.close()
    assert lines[-1] == "[DONE]"
    assert json.loads(lines[-2])["choices"][0]["finish_reason"] == "length"


def test_a_client_that_goes_behind_a_pipeline(narrow: Gateway) -> None:
    """While a second request waits in the same connection nothing is read from it: its end is noticed all the same."""
    until(lambda: idle(narrow), "it is idle")
    body = json.dumps({"messages": [{"role": "user", "content": "x"}]} | ENDLESS | {"max_tokens": 2500}).encode()
    one = narrow.head("Content-Type: application/json", f"Content-Length: {len(body)}", body=body)
    with socket.create_connection(narrow.address) as connection:
        connection.sendall(one * 2)
        until(lambda: narrow.worker_health()["active"] == 1, "it runs")
    until(lambda: idle(narrow), "the slot is free", seconds=2)


def test_a_reader_that_stops_is_cut_off(start_gateway: Callable[..., Gateway]) -> None:
    """Its slot is free again, though it never closes; what it left unread stays bounded."""
    gateway = start_gateway(slots=1, context=4096, stuck_seconds=1.0)
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.connect(gateway.address)
    fields = ENDLESS | {"stream": True, "logprobs": True, "top_logprobs": 20}
    body = json.dumps({"messages": [{"role": "user", "content": "x"}]} | fields).encode()
    stuck.sendall(gateway.head("Content-Type: application/json", f"Content-Length: {len(body)}", body=body))
    until(lambda: gateway.worker_health()["active"] == 1, "it runs")
    until(lambda: idle(gateway), "the slot is free", seconds=30)
    assert gateway.chat(max_tokens=1).status == 200
    stuck.close()


def test_half_closed_still_gets_what_is_nearly_there(narrow: Gateway) -> None:
    until(lambda: idle(narrow), "it is idle")
    for path, status in (("/v1/models", 200), ("/nowhere", 404)):
        found = list(answers(narrow.raw(narrow.head(method="GET", path=path), end=True)))
        assert [answer.status for answer in found] == [status]
    body = b'{"messages":[{"role":"user","content":"x"}],"max_tokens":1}'
    short = narrow.head("Content-Type: application/json", f"Content-Length: {len(body)}", body=body)
    assert [answer.status for answer in answers(narrow.raw(short, end=True))] == [200]


def test_half_closed_is_gone(narrow: Gateway) -> None:
    """A client that shuts its sending half down counts as gone, as nginx has it."""
    until(lambda: idle(narrow), "it is idle")
    body = json.dumps({"messages": [{"role": "user", "content": "x"}]} | ENDLESS).encode()
    with socket.create_connection(narrow.address) as connection:
        connection.sendall(narrow.head("Content-Type: application/json", f"Content-Length: {len(body)}", body=body))
        until(lambda: narrow.worker_health()["active"] == 1, "it runs")
        connection.shutdown(socket.SHUT_WR)
        until(lambda: idle(narrow), "the slot is free", seconds=2)


def test_that_path_is_served(narrow: Gateway) -> None:
    assert narrow.call("POST", CHAT, {"messages": [{"role": "user", "content": "x"}], "max_tokens": 1}).status == 200
