# SPDX-License-Identifier: GPL-3.0-or-later
"""What a hostile client sends over a raw socket: each is answered with a 4xx in JSON, and the gateway goes on."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
from gateway_process import Gateway, Reply, answers, until

JSON = "Content-Type: application/json"
GOOD = b'{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}'


@pytest.fixture(autouse=True)
def _goes_on(gateway: Gateway) -> Iterator[None]:
    yield
    assert gateway.process.poll() is None
    assert gateway.chat(max_tokens=1).status == 200
    assert "defect" not in gateway.log
    assert "Traceback" not in gateway.log


def post(gateway: Gateway, body: bytes, kind: str = JSON) -> Reply:
    found = list(
        answers(gateway.raw(gateway.head(kind, f"Content-Length: {len(body)}", "Connection: close", body=body)))
    )
    assert len(found) == 1
    return found[0]


def refused(answer: Reply, *statuses: int) -> None:
    assert answer.status in statuses, answer.body
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-orch-request-id"]
    error = answer.error
    assert error["message"]
    assert error["code"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nul",
        b"[]",
        b'"text"',
        b"1",
        b"{}{}",
        b'{"messages": [}',
        b"{'messages': []}",
        b'{"messages":[{"role":"user","content":"hi"}],}',
        b"\xff\xfe{\x00}\x00",
        b"\x00" * 100,
        b'{"a\x00b": 1}',
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":[{"role":"user","content":"\xed\xa0\x80"}]}',
        b'{"model":"tiny","model":"tiny","messages":[{"role":"user","content":"x"}]}',
        b'{"messages":[{"role":"user","content":"x"}],"temperature":NaN}',
        b'{"messages":[{"role":"user","content":"x"}],"temperature":-Infinity}',
        b'{"messages":[{"role":"user","content":"x"}],"temperature":1e999}',
        b'{"messages":[{"role":"user","content":"x"}],"max_tokens":-1}',
        b'{"messages":[{"role":"user","content":"x"}],"max_tokens":1' + b"0" * 5000 + b"}",
        b'{"messages":[{"role":"user","content":"x"}],"seed":1e308}',
        b'{"messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"messages":[{"role":"user","content":"' + b"x" * 10_000_000 + b'"}]}',
        b'{"messages":[' + b"[]," * 5_000_000 + b"[]]}",
        b'{"messages":[' + b",".join([b'{"role":"user","content":"x"}'] * 100_000) + b"]}",
    ],
    ids=lambda body: body[:40].decode("latin-1") + str(len(body)),
)
def test_bodies(gateway: Gateway, body: bytes) -> None:
    began = time.monotonic()
    refused(post(gateway, body), 400, 413, 422)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonx"],
)
def test_content_types(gateway: Gateway, kind: str) -> None:
    refused(post(gateway, GOOD, f"Content-Type: {kind}"), 415)


def test_content_encoding(gateway: Gateway) -> None:
    refused(post(gateway, GOOD, f"{JSON}\r\nContent-Encoding: gzip"), 415)


def test_a_charset_is_no_other_type(gateway: Gateway) -> None:
    assert post(gateway, GOOD, "Content-Type: application/json; charset=utf-8").status == 200


@pytest.mark.parametrize("how", ["length", "chunked", "expect"])
def test_too_large(gateway: Gateway, how: str) -> None:
    size = 17 * 1024 * 1024
    if how == "expect":
        raw = gateway.raw(gateway.head(JSON, f"Content-Length: {size}", "Expect: 100-continue"))
    elif how == "length":
        raw = gateway.raw(gateway.head(JSON, f"Content-Length: {size}", "Connection: close", body=b" " * size))
    else:
        part = b"%x\r\n%b\r\n" % (1 << 20, b" " * (1 << 20))
        body = part * 17 + b"0\r\n\r\n"
        raw = gateway.raw(gateway.head(JSON, "Transfer-Encoding: chunked", "Connection: close", body=body))
    found = list(answers(raw))
    assert len(found) == 1
    refused(found[0], 413)


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + SMUGGLED,
        HEAD + b"Content-Length: 5, 6\r\n\r\nhello" + SMUGGLED,
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n" + SMUGGLED,
        HEAD + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
        HEAD + b"Content-Length: +5\r\n\r\nhello" + SMUGGLED,
        HEAD + b"Content-Length: 0x5\r\n\r\nhello" + SMUGGLED,
        HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nhello",
        HEAD + b" folded: x\r\n\r\n" + SMUGGLED,
        HEAD + b"X-A: b\r\n\tfolded\r\nX-B: \x00\r\n\r\n",
        HEAD + b"X-A: b\rX-Injected: 1\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"Host: evil.example\r\nContent-Length: 0\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET /hea\x00lth HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xe4 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"get /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"GET http://evil.example/health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 1000,
        b"A" * 100_000,
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 300_000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-Many: 1\r\n" * 10_000 + b"\r\n",
    ],
    ids=lambda data: data.replace(HEAD, b"")[:40].decode("latin-1"),
)
def test_what_is_no_request(gateway: Gateway, data: bytes) -> None:
    found = list(answers(gateway.raw(data, timeout=20)))
    assert len(found) == 1, found
    refused(found[0], 400, 401, 403, 405, 408, 414, 431)
    assert b"smuggled" not in found[0].body
    assert "x-injected" not in found[0].headers


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"GET /health HT", True),
        (b"GET /health HTTP/1.1\r\nHost: localhost\r\n", True),
        (HEAD + b"Authorization: Bearer test-key-0123456789\r\nContent-Length: 100\r\n\r\n{", True),
        (HEAD + b"Authorization: Bearer test-key-0123456789\r\nContent-Length: 100\r\n\r\n{", False),
        (HEAD + b"Authorization: Bearer test-key-0123456789\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", True),
        (HEAD + b"Authorization: Bearer test-key-0123456789\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{", False),
    ],
)
def test_truncated_requests(gateway: Gateway, data: bytes, end: bool) -> None:
    found = list(answers(gateway.raw(data, end=end)))
    assert len(found) == 1
    refused(found[0], 400, 408)


def test_slow_heads(gateway: Gateway) -> None:
    """A head that trickles in holds its connection for two seconds at most, here."""
    with socket.create_connection(gateway.address, timeout=30) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        began = time.monotonic()
        connection.settimeout(0.3)
        raw = b""
        while time.monotonic() - began < 30:
            try:
                if not (part := connection.recv(65536)):
                    break
                raw += part
            except TimeoutError:
                connection.sendall(b"X-Slow: 1\r\n")
    assert time.monotonic() - began < 10
    refused(next(answers(raw)), 408)


def test_slow_bodies(gateway: Gateway) -> None:
    with socket.create_connection(gateway.address, timeout=30) as connection:
        connection.sendall(gateway.head(JSON, "Content-Length: 1000", body=b"{"))
        raw = b""
        while not raw.endswith(b"}}"):
            raw += connection.recv(65536)
        refused(next(answers(raw)), 408)


def test_silent_connections_end(gateway: Gateway) -> None:
    with socket.create_connection(gateway.address, timeout=30) as connection:
        until(lambda: connection.recv(65536), "the gateway speaks", 30)


def test_pipelined_requests_are_answered_in_order(gateway: Gateway) -> None:
    health = gateway.head("X-Orch-Request-Id: a{}", method="GET", path="/health")
    some = b"".join(health.replace(b"{}", b"%d" % number) for number in range(10))
    last = gateway.head("Connection: close", "X-Orch-Request-Id: last", method="GET", path="/v1/models")
    found = list(answers(gateway.raw(some + last)))
    assert [answer.headers["x-orch-request-id"] for answer in found] == [*(f"a{i}" for i in range(10)), "last"]


def test_answers_of_a_pipeline_never_mix(gateway: Gateway) -> None:
    """A stream, then a whole answer, then nonsense: three answers in order, then the end."""
    body = GOOD[:-1] + b',"stream":true}'
    stream = gateway.head(JSON, f"Content-Length: {len(body)}", body=body)
    whole = gateway.head(JSON, f"Content-Length: {len(GOOD)}", body=GOOD)
    found = list(answers(gateway.raw(stream + whole + b"nonsense\r\n\r\n")))
    assert [answer.status for answer in found] == [200, 200, 400]
    assert found[0].events[-1] == "[DONE]"
    assert found[1].json["choices"]
    refused(found[2], 400)


def test_a_pipelined_body_that_breaks(gateway: Gateway) -> None:
    """The answers that are due come first, then the refusal; the broken request itself is never begun."""
    body = GOOD[:-1] + b',"stream":true}'
    stream = gateway.head(JSON, f"Content-Length: {len(body)}", body=body)
    broken = gateway.head(JSON, "Transfer-Encoding: chunked", body=b"5\r\nhello\r\nzz\r\n")
    found = list(answers(gateway.raw(stream + broken)))
    assert [answer.status for answer in found] == [200, 400]
    refused(found[1], 400)


def test_an_upgrade_whose_body_breaks(gateway: Gateway) -> None:
    lines = (JSON, "Transfer-Encoding: chunked", "Connection: Upgrade", "Upgrade: h2c")
    found = list(answers(gateway.raw(gateway.head(*lines, body=b"zz\r\nhello"))))
    assert [answer.status for answer in found] == [400]


def test_endless_pipelines_are_cut(gateway: Gateway) -> None:
    body = GOOD[:-1] + b',"stream":true}'
    flood = gateway.head(JSON, f"Content-Length: {len(body)}", body=body) * 100
    found = list(answers(gateway.raw(flood)))
    assert len(found) < 30
    assert found[-1].status == 400


def test_a_thousand_connections_that_say_nothing(gateway: Gateway) -> None:
    idle = [socket.create_connection(gateway.address) for _ in range(300)]
    try:
        assert gateway.chat(max_tokens=1).status == 200
    finally:
        for connection in idle:
            connection.close()


def test_nothing_of_a_request_reaches_the_headers(gateway: Gateway) -> None:
    odd = "a\r\nX-Injected: 1"
    body = json.dumps({"model": odd, "messages": [{"role": odd, "content": odd}], "user": odd}).encode()
    answer = post(gateway, body)
    assert "x-injected" not in answer.headers
    assert answer.status in (400, 404)


def test_bodies_in_pieces(gateway: Gateway) -> None:
    """Chunked, or held back until the server says 100 (as curl does with large ones)."""
    pieces = b"".join(b"%x\r\n%b\r\n" % (1, bytes([byte])) for byte in GOOD) + b"0\r\n\r\n"
    chunked = gateway.head(JSON, "Transfer-Encoding: chunked", "Connection: close", body=pieces)
    assert [answer.status for answer in answers(gateway.raw(chunked))] == [200]
    with socket.create_connection(gateway.address, timeout=30) as connection:
        head = gateway.head(JSON, f"Content-Length: {len(GOOD)}", "Expect: 100-continue", "Connection: close")
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(GOOD)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_upgrades_are_answered_without(gateway: Gateway) -> None:
    """Java's client offers h2c with every request; a socket.io client asks for a websocket."""
    body = GOOD
    for upgrade in ("h2c", "websocket"):
        lines = (JSON, f"Content-Length: {len(body)}", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}")
        found = list(answers(gateway.raw(gateway.head(*lines, "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA", body=body))))
        assert [answer.status for answer in found] == [200]
