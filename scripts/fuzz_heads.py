#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzzes the heads of HTTP requests on raw sockets: each is answered by well-formed HTTP, and the server goes on.

    fuzz_heads.py --url http://127.0.0.1:8080 --key K [--headers 1000000] [--seed N] [--connections 4]

Each connection sends requests one after another until one is refused as broken. What is checked of every answer: a
status of 200 to 499, a body of the length that the head says, JSON where the head says JSON, an id, nothing of the
request in the answer's head, one answer for one request; and that a head without an accident is understood.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import socket
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MARK = "fuzzed-Xq7"
"""Stands in every value that is made up; it must not come back in a head."""
PATHS = ("/health", "/v1/models", "/api/version", "/api/tags", "/v1/models/tiny", "/metrics", "/nothing/here", "/")
_METHODS = ("GET", "GET", "GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND")
_NAMES = (
    "Accept", "Accept-Encoding", "Accept-Language", "Access-Control-Request-Method", "Authorization", "Cache-Control",
    "Connection", "Content-Encoding", "Content-Type", "Cookie", "Date", "DNT", "Forwarded", "From", "Host", "If-Match",
    "If-Modified-Since", "If-None-Match", "Idempotency-Key", "Keep-Alive", "Max-Forwards", "Origin", "Pragma",
    "Proxy-Authorization", "Range", "Referer", "Sec-Fetch-Mode", "Sec-Fetch-Site", "TE", "Trailer", "Upgrade",
    "User-Agent", "Via", "X-Api-Key", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
    "X-HTTP-Method-Override",
    "X-Orch-Client", "X-Orch-Model", "X-Orch-Receipt", "X-Orch-Request-Id", "anthropic-version", "anthropic-beta",
)  # fmt: skip
_VALUES = (
    "", "*", "*/*", "close", "keep-alive", "gzip", "identity", "0", "-1", "1", "18446744073709551616", "null", "none",
    "chunked", "100-continue", "websocket", "h2c", "bytes=0-", "Bearer", "Bearer x", "Basic eDp5", "cross-site",
    "localhost", "127.0.0.1:1", "evil.example", "http://evil.example", "[::1", "a,b;q=0.5", '"', "(", "%00", "../..",
)  # fmt: skip
_BREAKING = (
    b"Content-Length: -1", b"Content-Length: 1e3", b"Content-Length: +4", b"Content-Length: 4, 5",
    b"Content-Length: 0x4",
    b"Content-Length: 99999999999999999999", b"Transfer-Encoding: chunked", b"Transfer-Encoding: xchunked",
    b"Transfer-Encoding: chunked, identity", b"Transfer-Encoding: \x0bchunked", b"Content-Length : 4", b" folded: x",
    b"\tfolded", b"no colon", b": no name", b"Na me: x", b"X\x00: y", b"X: \x00", b"X: a\rb",
    b"X: a\nContent-Length: 4",
    b"\xff\xfe: x", b"X: \xff\xfe", b"X: \x7f", b"(): x", b"Expect: 100-continue",
    b"Upgrade: websocket\r\nConnection: Upgrade",
    b"Host: evil.example", b"Host: a b", b"Host:", b"Connection: close", b"Content-Length: 4\r\nContent-Length: 4",
    b"Content-Length: 0\r\nTransfer-Encoding: chunked", b"X-Orch-Request-Id: a\r\n b: c",
    b"Origin: http://evil.example",
)  # fmt: skip
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [ -~]*\Z")
_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[ \t]?[ -~\t]*\Z")
_WAIT = 30.0
_LONGEST = 96 * 1024


class BrokenAnswerError(AssertionError):
    """An answer that must not be; the message holds the request."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request: its bytes, how many header lines they hold, its method, and whether nothing is wrong with it."""

    data: bytes
    headers: int
    method: str
    clean: bool


@dataclass(slots=True)
class Tally:
    """What came of all cases."""

    headers: int = 0
    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter[int])


def case_of(chance: random.Random, key: str) -> Case:
    """A request, as broken as chance has it."""
    method, path = chance.choice(_METHODS), chance.choice(PATHS)
    clean = chance.random() < 0.4
    lines = [b"Host: localhost", b"Authorization: Bearer " + key.encode()]
    count = chance.choice((0, 1, 3, 8, 20, 60, 100, 124) if clean else (0, 1, 3, 8, 20, 60, 125, 140, 400))
    lines += [_line(chance, clean=clean) for _ in range(count)]
    start = f"{method} {path}{_query(chance)} HTTP/1.1".encode()
    if not clean:
        for _ in range(chance.choice((0, 1, 1, 2, 5))):
            lines.insert(chance.randrange(len(lines) + 1), chance.choice(_BREAKING))
        if chance.random() < 0.2:
            start = _start(chance, start)
        if chance.random() < 0.1:
            lines.remove(b"Host: localhost")
    if method in ("POST", "PUT", "PATCH", "DELETE") and clean:
        lines.append(b"Content-Length: 0")
    data = b"\r\n".join((start, *lines, b"", b""))
    if not clean and chance.random() < 0.3:
        data = _mutated(data, chance)
    return Case(data[:_LONGEST], len(lines), method, clean)


def _line(chance: random.Random, *, clean: bool) -> bytes:
    if clean:
        name, value = f"X-{chance.randrange(10**6)}", f"{MARK} {chance.choice(_VALUES)}"
    else:
        name = chance.choice(_NAMES) if chance.random() < 0.7 else "X-" + "y" * chance.choice((1, 40, 3000))
        value = chance.choice((*_VALUES, MARK, MARK * 300, f"{MARK}\t{MARK}", "é", "\x01"))
    return f"{name}: {value}".encode("latin-1")


def _query(chance: random.Random) -> str:
    return chance.choice(("", "", "", "?", "?a=b", "?a=%00", "?" + "q" * 500))


def _start(chance: random.Random, start: bytes) -> bytes:
    method, target, version = start.split(b" ")
    return chance.choice((
        b"%b %b" % (method, target), b"%b  %b %b" % (method, target, version), b" " + start, start + b" ",
        b"%b %b HTTP/1.0" % (method, target), b"%b %b HTTP/2.0" % (method, target),
        b"%b %b HTTP/1.10" % (method, target),
        b"%b http://localhost%b %b" % (method, target, version), b"%b //evil.example%b %b" % (method, target, version),
        b"%b %b%b %b" % (method, target, b"a" * 9000, version), b"%b \xff%b %b" % (method, target, version),
        b"CONNECT localhost:1 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET * HTTP/1.1", b"\r\n" + start, b"PRI * HTTP/2.0",
        b"%b %b/../%%2e%%2e/%%00 %b" % (method, target, version), b"\x16\x03\x01\x02\x00",
        method.lower() + b" " + target,
    ))  # fmt: skip


def _mutated(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(5):
            case 0:
                found[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del found[at : at + chance.randrange(1, 30)]
            case 2:
                found[at:at] = chance.choice((b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b":", b" ", b"\xff"))
            case 3:
                found[at:at] = found[at : at + chance.randrange(60)]
            case _:
                found[at:at] = chance.choice(_BREAKING) + b"\r\n"
    return bytes(found)


class Line:
    """One connection, opened anew when the server has closed it."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._fresh = False

    def send(self, case: Case) -> list[int]:
        """The statuses of all answers to it. Raises BrokenAnswerError."""
        if not case.clean or self._socket is None:
            self.close()
            self._socket, self._fresh = socket.create_connection(self._address, timeout=_WAIT), True
        raw = b""
        try:
            self._socket.sendall(case.data)
            if not case.clean:
                self._socket.shutdown(socket.SHUT_WR)
            while part := self._socket.recv(65536):
                raw += part
                if case.clean and _whole(raw, case.method):
                    break
        except ConnectionError:
            if not raw and case.clean:
                raise BrokenAnswerError(f"no answer to {case.data[:2000]!r}") from None
        statuses = self._read(case, raw)
        if not case.clean:
            self.close()
        return statuses

    def close(self) -> None:
        """Ends it."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _read(self, case: Case, raw: bytes) -> list[int]:
        """Checks what came."""
        found: list[int] = []
        try:
            while raw:
                status, raw = _answer(raw, case)
                found.append(status)
        except (ValueError, IndexError, AssertionError) as error:
            raise BrokenAnswerError(f"{error}: {raw[:1000]!r} to {case.data[:3000]!r}") from error
        if case.clean and (len(found) != 1 or found[0] not in (200, 204, 403, 404, 405)):
            raise BrokenAnswerError(f"{found} to what is right: {case.data[:3000]!r}")
        return found


def _whole(raw: bytes, method: str) -> bool:
    head, end, body = raw.partition(b"\r\n\r\n")
    if not end:
        return False
    size = re.search(rb"(?im)^content-length: (\d+)", head)
    return method == "HEAD" or size is None or len(body) >= int(size[1])


def _answer(raw: bytes, case: Case) -> tuple[int, bytes]:
    """The status of the first answer, and what stands behind it."""
    head, end, rest = raw.partition(b"\r\n\r\n")
    assert end, "a head without an end"
    first, *lines = head.split(b"\r\n")
    found = _STATUS.fullmatch(first)
    assert found, "no status line"
    status = int(found[1])
    if status == 100:
        return status, rest
    assert 200 <= status < 500, f"status {status}"
    headers: dict[bytes, bytes] = {}
    for line in lines:
        assert _LINE.fullmatch(line), f"header {line!r}"
        name, _, value = line.partition(b":")
        assert name.lower() not in headers, f"twice {name!r}"
        headers[name.lower()] = value.strip()
    assert headers.pop(b"x-orch-request-id", b""), "no id"  # a client may choose it
    told = b"\n".join(headers.values())
    assert MARK.encode() not in told, "the request comes back"
    assert b"evil.example" not in told, "a foreign name comes back"
    bodiless = status in (204, 304) or (case.method == "HEAD" and not rest.startswith(b"{"))
    size = 0 if bodiless else int(headers[b"content-length"])
    assert len(rest) >= size, "a body cut short"
    if size and headers[b"content-type"].startswith(b"application/json"):
        json.loads(rest[:size])
    return status, rest[size:]


def run(address: tuple[str, int], key: str, seed: int, headers: int) -> Tally:
    """Cases until they have `headers` header lines together. Raises BrokenAnswerError."""
    chance, line, tally = random.Random(seed), Line(address), Tally()
    try:
        while tally.headers < headers:
            case = case_of(chance, key)
            tally.statuses.update(line.send(case))
            tally.headers += case.headers
            tally.cases += 1
    finally:
        line.close()
    return tally


def main() -> int:
    """By hand, for as long as one likes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="")
    parser.add_argument("--headers", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    told = parser.parse_args()
    parts = urlsplit(told.url)
    address = (parts.hostname or "", parts.port or 80)
    print(f"seed {told.seed}", flush=True)
    tallies: list[Tally] = []
    failures: list[str] = []

    def work(number: int) -> None:
        try:
            tallies.append(run(address, told.key, told.seed + number, told.headers // told.connections))
        except (BrokenAnswerError, OSError) as error:
            failures.append(f"seed {told.seed + number}: {error}")

    began = time.monotonic()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(told.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = sum((each.statuses for each in tallies), Counter[int]())
    print(f"{sum(each.headers for each in tallies)} headers in {sum(each.cases for each in tallies)} requests, "
          f"{time.monotonic() - began:.0f} s: {dict(sorted(statuses.items()))}")  # fmt: skip
    print("\n".join(failures))
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
