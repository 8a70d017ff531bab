# SPDX-License-Identifier: Apache-2.0
"""The HTTP server behind a fake tap: threads, on loopback or on a Unix socket."""

from __future__ import annotations

import contextlib
import json
import select
import socketserver
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils.testing import account, vectors
from llama_orch_utils.testing.script import Asked, Script

if TYPE_CHECKING:
    from llama_orch_utils.testing.tap import FakeTap


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "fake-tap"
    disable_nagle_algorithm = False  # a Unix socket has no such option; events are flushed one by one anyway
    wbufsize = 0
    asked: Asked

    @property
    def tap(self) -> FakeTap:
        """The tap that this belongs to."""
        return cast("TcpServer", self.server).tap

    def do_GET(self) -> None:
        """The list of models, the credits."""
        self._begin()
        if not self._authorised():
            return
        if self.path == "/v1/credits" and self.tap.balance is not None:
            self._json(200, account.credits_of(self.tap.balance))
        elif self.path.startswith("/v1/usage?") and self.tap.balance is not None:
            self._json(200, account.usage_of(self.path))
        elif self.path == "/v1/models":
            told: dict[str, Any] = {}
            if self.tap.capabilities is not None:
                told["capabilities"] = list(self.tap.capabilities)
            if self.tap.context is not None:
                told["context_length"] = self.tap.context
            if self.tap.pricing is not None:
                told["pricing"] = asdict(self.tap.pricing)
            entries = [{"id": name, "object": "model", "owned_by": "fake", **told} for name in self.tap.models]
            self._json(200, {"object": "list", "data": entries})
        else:
            self._json(404, {"error": {"message": f"no such path: {self.path}", "code": "not_found"}})

    def do_POST(self) -> None:
        """Chat completions, the count of their tokens (here: of words), embeddings, rankings."""
        self._begin()
        if not self._authorised():
            return
        words = sum(len(str(message.get("content", "")).split()) for message in self.asked.messages)
        if self.path.endswith("/input_tokens") and not self.tap.counts:
            self._json(400, {"error": {"message": "this target counts no tokens", "code": "unsupported"}})
            return
        if self.path.endswith("/input_tokens"):
            self._json(200, {"object": "response.input_tokens", "input_tokens": words})
            return
        if self.tap.balance is not None and self.tap.balance < 1:
            self._json(402, account.PAUSED)
            return
        script = self.tap.next_script(self.asked)
        try:
            self._play(script, words)
        except OSError:
            self._gone()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Nothing: tests read `asked`."""

    def _begin(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, self.path, headers, self.rfile.read(length))
        self.tap.note(self.asked)

    def _authorised(self) -> bool:
        if self.tap.key is None or self.asked.key == self.tap.key:
            return True
        self._json(401, {"error": {"message": "wrong key", "type": "authentication_error", "code": "invalid_api_key"}})
        return False

    def _play(self, script: Script, words: int) -> None:
        if not self._rest(script.delay):
            return
        model = str(self.asked.json.get("model") or self.tap.models[0])
        if script.body is not None or script.status != 200:  # noqa: PLR2004 - HTTP
            self._bytes(script.status, script.body or b"", script.headers)
        elif self.path.endswith("/embeddings"):
            self._json(200, vectors.embeddings(self.asked.json, model, script.vectors), script.headers)
        elif self.path.endswith("/rerank"):
            self._json(200, vectors.ranking(self.asked.json, model, script.scores), script.headers)
        elif self.asked.json.get("stream"):
            self._stream(script, model, words)
        elif script.cut is not None:
            self._cut()
        else:
            self._json(200, {**script.whole(model, words), "usage": self._usage(script, words)}, script.headers)

    def _stream(self, script: Script, model: str, words: int) -> None:
        headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked"} | dict(script.headers)
        self._head(200, headers)
        for number, event in enumerate(script.events(model)):
            if script.cut == number:
                self._cut()
                return
            if not self._rest(script.pause, script.comments):
                return
            self._chunk(event)
        if script.cut is not None:
            self._cut()
            return
        for event in script.ending(model, self._usage(script, words)):
            self._chunk(event)
        self.wfile.write(b"0\r\n\r\n")
        self._done()

    def _usage(self, script: Script, words: int) -> dict[str, Any]:
        return self.tap.charge(script.counts(words))

    def _rest(self, seconds: float, comments: float | None = None) -> bool:
        """Wait, and watch the client meanwhile; False if it has gone."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not self.tap.stopping.is_set():
            slept = min(left, comments or left, 0.1)
            if select.select([self.connection], [], [], slept)[0]:
                self._gone()
                return False
            if comments is not None:
                self._chunk(b": still here\n\n")
        return True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _json(self, status: int, body: Any, headers: Any = None) -> None:
        self._bytes(status, json.dumps(body).encode(), {"content-type": "application/json"} | dict(headers or {}))

    def _bytes(self, status: int, body: bytes, headers: Any) -> None:
        plain = {"content-type": "application/json"} | dict(headers)
        self._head(status, plain | {"content-length": str(len(body))})
        self.wfile.write(body)
        self._done()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("x-orch-request-id", f"req-{len(self.tap.asked)}")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _cut(self) -> None:
        self.close_connection = True
        self._done()

    def _gone(self) -> None:
        self.close_connection = True
        self.asked.left = True
        self.tap.note(self.asked)

    def _done(self) -> None:
        self.asked.done = True
        self.tap.note(self.asked)


class Connections(socketserver.ThreadingMixIn):
    """One thread per connection, all of which can be dropped."""

    daemon_threads = True
    block_on_close = False
    tap: FakeTap
    open_connections: set[Any]

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake, where there is one, in the connection's own thread."""
        if self.tap.tls is not None:
            raw, request = request, self.tap.tls.wrap_socket(request, server_side=True)
            self.open_connections.add(request)
            self.open_connections.discard(raw)
        try:
            cast("Any", super()).finish_request(request, client_address)
        finally:
            if self.tap.tls is not None:
                self.shutdown_request(request)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self.open_connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection."""
        self.open_connections.discard(request)
        cast("Any", super()).shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news."""

    def drop_connections(self) -> None:
        """Cut everybody off."""
        for connection in list(self.open_connections):
            with contextlib.suppress(OSError):  # it has gone by itself
                connection.shutdown(2)


class TcpServer(Connections, socketserver.TCPServer):
    """On loopback, at a free port."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, tap: FakeTap) -> None:
        self.tap, self.open_connections = tap, set()
        super().__init__(("127.0.0.1", 0), Handler)


class UnixServer(Connections, socketserver.UnixStreamServer):
    """On a Unix socket."""

    request_queue_size = 128

    def __init__(self, path: str, tap: FakeTap) -> None:
        self.tap, self.open_connections, self._path = tap, set(), path
        super().__init__(path, Handler)

    def get_request(self) -> tuple[Any, Any]:
        """http.server wants an address with two parts."""
        connection, _ = super().get_request()
        return connection, ("local", 0)

    def server_close(self) -> None:
        """Take the socket's file away as well."""
        super().server_close()
        Path(self._path).unlink(missing_ok=True)
