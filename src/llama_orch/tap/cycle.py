# SPDX-License-Identifier: GPL-3.0-or-later
"""One request and its answer as uvicorn has them, with a send that does no more than a gateway's answers need.

uvicorn's looks at every header twice, by regular expressions, and writes a head by itself. To hold its writes back took
1 µs of an answer more than this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from llama_orch.tap.call import CONNECTION

if TYPE_CHECKING:
    from llama_orch.tap.protocol import Connection

_BODILESS = frozenset((204, 304))
Headers = Sequence[tuple[bytes, bytes]]


class Cycle(RequestResponseCycle):
    """Takes ASGI messages whose header names are in lower case, and whose body is framed here.

    The head of an answer goes out with the first bytes of its body: a system call and a packet less. That of a stream
    waits for them no longer than until the event loop's next round.
    """

    _head = b""

    async def send(self, message: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - narrower
        """One message. Raises RuntimeError for an answer that would break the connection's framing."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self._begin(message["status"], message["headers"])
        elif self.response_started and not self.response_complete:
            self._write(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError("a body before its head, or after its end")

    def _begin(self, status: int, headers: Headers) -> None:
        if self.response_started:
            raise RuntimeError("a second head")
        self.response_started = True
        self.waiting_for_100_continue = False
        self.chunked_encoding = self.scope["method"] != "HEAD" and status not in _BODILESS
        closes = False
        for name, value in headers:
            if name == b"content-length":
                self.chunked_encoding, self.expected_content_length = False, int(value)
            elif name == b"connection" and value == b"close":
                self.keep_alive, closes = False, True
        lines = [b"%b: %b\r\n" % pair for pair in (*self.default_headers, *headers)]
        if not self.keep_alive and not closes:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding:
            lines.append(b"transfer-encoding: chunked\r\n")
        self._head = STATUS_LINE[status] + _sound(b"".join(lines), len(lines)) + b"\r\n"
        if self.chunked_encoding:
            asyncio.get_running_loop().call_soon(self._flush)

    def _write(self, body: bytes, *, more: bool) -> None:
        head, self._head = self._head, b""
        if self.scope["method"] == "HEAD":
            self.expected_content_length, body = 0, b""
        elif self.chunked_encoding:
            body = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            if not more:
                body += b"0\r\n\r\n"
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0 or (self.expected_content_length and not more):
                self.transport.abort()
                raise RuntimeError("the body is not as long as its head said")
        if head or body:
            self.transport.write(head + body if head else body)
        if not more:
            self._end()

    def _end(self) -> None:
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _flush(self) -> None:
        head, self._head = self._head, b""
        if head and not self.disconnected and not self.transport.is_closing():
            self.transport.write(head)


def begun(connection: Connection) -> Cycle:
    """The request whose head a connection has heard. Raises ValueError for a target that is none."""
    parser, target = connection.parser, httptools.parse_url(connection.url)
    path, version = target.path.decode("ascii"), parser.get_http_version()
    scope: dict[str, Any] = {  # of ASGI's, what a gateway looks at
        "type": "http",
        "http_version": version,
        "method": parser.get_method().decode("ascii"),
        "scheme": connection.scheme,
        "path": unquote(path) if "%" in path else path,
        "raw_path": target.path,
        "query_string": target.query or b"",
        "headers": connection.headers,
        "client": connection.client,
        "server": connection.server,
        CONNECTION: connection,
    }
    return Cycle(
        scope,  # pyright: ignore[reportArgumentType] - not all of ASGI's
        connection.transport,
        connection.flow,
        connection.logger,
        connection.access_logger,
        False,
        connection.server_state.default_headers,
        asyncio.Event(),
        connection.expect_100_continue,
        version != "1.0" and parser.should_keep_alive(),
        connection.on_response_complete,
    )


def _sound(block: bytes, lines: int) -> bytes:
    """The block of that many lines. Raises RuntimeError where a value brought a line end of its own, or a NUL."""
    if block.count(b"\n") != lines or block.count(b"\r") != lines or b"\0" in block:
        raise RuntimeError("a header holds what no header can")
    return block
