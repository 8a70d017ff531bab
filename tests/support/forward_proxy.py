# SPDX-License-Identifier: GPL-3.0-or-later
"""A forward proxy on loopback (RFC 9110, 9.3.6, and RFC 9112, 3.2.2), which notes what passes through it.

Every host name leads to `upstream`, so that names work which nobody resolves.
"""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from types import TracebackType
from typing import Any, Self


class ForwardProxy:
    """`requests` are the first lines that came, `headers` what came with each, `passed` every byte of both ways."""

    def __init__(self, upstream: int, *, login: str | None = None) -> None:
        self.upstream = upstream
        self.login = login
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.passed = bytearray()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: ForwardProxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        proxy: ForwardProxy = self.server.proxy  # type: ignore[attr-defined]
        first = self.rfile.readline()
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            lines.append(line)
        if not first:
            return
        proxy.requests.append(first.decode().strip())
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (each.decode().partition(":") for each in lines)
        }
        proxy.headers.append(headers)
        proxy.passed += first + b"".join(lines)
        if proxy.login is not None and headers.get("proxy-authorization") != proxy.login:
            self.wfile.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        method, target, version = first.split()
        with socket.create_connection(("127.0.0.1", proxy.upstream)) as other:
            if method == b"CONNECT":
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = b"/" + target.split(b"/", 3)[3]
                other.sendall(b" ".join([method, path, version]) + b"\r\n" + b"".join(lines) + b"\r\n")
            self._relay(other, proxy)

    def _relay(self, other: socket.socket, proxy: ForwardProxy) -> None:
        ends = {self.connection: other, other: self.connection}
        if waiting := self.rfile.peek():  # what has come with the head
            other.sendall(waiting)
            proxy.passed += waiting
        while True:
            for ready in select.select(list(ends), [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                proxy.passed += data
                ends[ready].sendall(data)
