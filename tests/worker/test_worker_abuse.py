# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw bytes at the worker's socket: they get a 4xx, or their connection is closed; the worker goes on."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Iterator

import pytest
from seeds import fresh_seed
from worker_process import Worker

CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
BODY = b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1}'


@pytest.fixture
def raw(worker: Worker) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as opened:
        opened.settimeout(30)
        opened.connect(str(worker.socket))
        yield opened
    assert worker.health()["status"] == "ok"


def answers(opened: socket.socket) -> list[tuple[int, bytes]]:
    """Everything that comes until the worker closes: the status and the body of each answer."""
    data = b""
    try:
        while part := opened.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    found: list[tuple[int, bytes]] = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), len(rest))
        found.append((int(lines[0].split()[1]), rest[:length]))
        data = rest[length:]
    return found


def say(opened: socket.socket, data: bytes) -> list[tuple[int, bytes]]:
    opened.sendall(data)
    opened.shutdown(socket.SHUT_WR)
    return answers(opened)


SMUGGLED = BODY + b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: 5\r\ncontent-length: 65\r\n\r\n",
        b"content-length: 65\r\ntransfer-encoding: chunked\r\n\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 65\r\n\r\n",
        b"content-length: -1\r\n\r\n",
        b"content-length: 0x41\r\n\r\n",
        b"content-length: 99999999999999999999999\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        b"x-bad: a\x00b\r\ncontent-length: 65\r\n\r\n",
        b"x bad: a\r\ncontent-length: 65\r\n\r\n",
        b"content-length: 65\nx: y\r\r\n\r\n",
    ],
)
def test_a_body_that_might_be_two_is_none(raw: socket.socket, head: bytes) -> None:
    found = say(raw, CHAT + head + SMUGGLED)
    assert len(found) <= 1
    assert all(400 <= status < 500 for status, _ in found)


@pytest.mark.parametrize(
    "line",
    [
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /nothing HTTP/1.1\r\nconnection: close\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"\r\n" * 1000,
        b"GET /v1/models/../../etc/passwd HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /v1/models/%2e%2e%2fetc%00 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /v1/models/a%0d%0aset-cookie:%20x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        b"GET /v1/models/%ff%fe HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    ],
)
def test_heads_that_are_none(raw: socket.socket, line: bytes) -> None:
    for status, body in say(raw, line):
        assert 400 <= status < 500
        assert b"set-cookie" not in body.split(b'"message"')[0]


def test_a_truncated_body(raw: socket.socket) -> None:
    assert all(400 <= status < 500 for status, _ in say(raw, CHAT + b"content-length: 9999\r\n\r\n" + BODY))


def test_requests_in_one_go_are_answered_in_order(raw: socket.socket) -> None:
    one = CHAT + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
    bad = CHAT + b"content-length: 2\r\n\r\n{}"
    last = b"GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
    raw.sendall(one + bad + one + last)
    assert [status for status, _ in answers(raw)] == [200, 400, 200, 200]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"messages": [{"role": "user", "content": "a"}] * 100_000}).encode(),
        json.dumps({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}] * 100_000}]}).encode(),
        b'{"messages": ' + b"[" * 1_000_000,
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "a"}], "seed": ' + b"9" * 100_000 + b"}",
        b'{"messages": [{"role": "user", "content": "a"}], "temperature": 1e99999}',
        b'{"messages": [{"role": "user", "content": "a"}], "stop": ' + json.dumps(["a"] * 10_000).encode() + b"}",
        b'{"messages": [{"role": "user", "content": "a"}], "tools": ' + json.dumps([{}] * 100_000).encode() + b"}",
        b'{"messages": [{"role": "user", "content": "a"}], "n": 1000000000}',
        b'{"messages": [{"role": "user", "content": "a"}], "model": "../../etc/passwd"}',
        b'{"messages": [{"role": "user", "content": "a"}], "model": "a\\r\\nset-cookie: x"}',
        b'{"messages": [{"role": "user", "content": "a"}], "model": "\\u0000"}',
    ],
)
def test_bodies_that_ask_for_too_much(worker: Worker, body: bytes) -> None:
    refused = worker.call("POST", "/v1/chat/completions", body)
    assert 400 <= refused.status < 500
    assert refused.error["message"]
    assert "set-cookie" not in refused.headers
    assert worker.health()["status"] == "ok"


def test_nul_bytes_are_text(worker: Worker) -> None:
    assert worker.chat("a\0b", max_tokens=1).status == 200


def test_headers_cannot_be_injected(raw: socket.socket) -> None:
    name = b"a\\r\\nset-cookie: x"
    body = b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": 1, "model": "' + name + b'"}'
    head = CHAT + b"x-orch-request-id: a\tb\r\nx-orch-model: tiny\r\nconnection: close\r\n"
    raw.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    (answer,) = answers(raw)
    assert answer[0] == 200
    assert json.loads(answer[1])["model"] == "a\r\nset-cookie: x"


def test_random_bytes(worker: Worker) -> None:
    seed = fresh_seed()
    print("seed", seed)
    rng = random.Random(seed)
    good = CHAT + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(BODY) + BODY
    for _ in range(150):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with socket.socket(socket.AF_UNIX) as opened:
            opened.settimeout(30)
            opened.connect(str(worker.socket))
            for status, body in say(opened, bytes(data)):
                assert status < 500, (bytes(data), body)
    assert worker.health()["status"] == "ok"
    assert "Traceback" not in worker.log
