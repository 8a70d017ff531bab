# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way out of an applet's process: a door on loopback that leads to the target and nowhere else.

The applet gets the door's address and a word that opens it. The target's address and key stay on this side.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import httpx

    from llama_orch_utils import Client

_DROPPED = frozenset({
    "host", "authorization", "connection", "keep-alive", "transfer-encoding", "content-length", "accept-encoding",
    "upgrade", "te", "trailer", "proxy-authorization", "proxy-connection", "cookie", "set-cookie", "x-api-key",
    "content-encoding",
})  # fmt: skip
# What a run needs of the target. The key could do more (make keys, read the account): the applet cannot.
_OPEN = re.compile(
    r"GET /v1/models(?:/[\w.:~-]+(?:/[\w.:~-]+)*)?"
    r"|POST /v1/(?:chat/completions(?:/input_tokens)?|completions|embeddings|rerank|responses|messages|tokenize)"
)
_MOST_BODY = 64 * 1024 * 1024
_MOST_DOORS = 32


class Door:
    """What one word opens: a client's target."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.runs = 1
        self._lock = threading.Lock()
        self._way: tuple[str, str, httpx.Client] | None = None

    def way(self) -> tuple[str, str, httpx.Client]:
        """Base address, key and connections; a local worker is started by the first who asks."""
        with self._lock:
            if self._way is None:
                found = self.client.openai_kwargs()
                self._way = (str(found["base_url"]).rstrip("/"), str(found["api_key"]), found["http_client"])
            return self._way

    def close(self) -> None:
        """Closes what was opened."""
        with self._lock:
            way, self._way = self._way, None
        if way is not None:
            way[2].close()


class Relay:
    """Listens on loopback until it is closed. Safe between threads."""

    def __init__(self) -> None:
        self._doors: dict[str, Door] = {}
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="orch-relay", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base address that the applet gets."""
        return f"http://127.0.0.1:{self.port}/v1"

    def word(self, client: Client) -> str:
        """The word that opens the way to this client's target, until `leave`; the same one for the same client."""
        with self._lock:
            for word, door in self._doors.items():
                if door.client is client:
                    door.runs += 1
                    return word
            idle = [word for word, door in self._doors.items() if not door.runs]
            for old in idle[: max(0, len(self._doors) + 1 - _MOST_DOORS)]:
                self._doors.pop(old).close()
            word = secrets.token_urlsafe(24)
            self._doors[word] = Door(client)
            return word

    def leave(self, word: str) -> None:
        """A run has ended; its door stays warm for the next of the same client."""
        with self._lock:
            door = self._doors.get(word)
            if door is not None:
                door.runs -= 1

    def door(self, header: str) -> Door | None:
        """The door that an `Authorization` opens."""
        return self._doors.get(header.removeprefix("Bearer "))

    def close(self) -> None:
        """Ends it, with every connection."""
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            doors, self._doors = list(self._doors.values()), {}
        for door in doors:
            door.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An applet that went away is no error of ours."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    _begun = False

    def do_GET(self) -> None:
        """Forwards."""
        self._forward(b"")

    def do_POST(self) -> None:
        """Forwards, with the body."""
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _MOST_BODY:
            self._refuse(400, "bad_request", "the body must have a length, of at most 64 MiB")
            return
        self._forward(self.rfile.read(int(length)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base has it
        """Nothing: prompts go by here."""

    def _forward(self, body: bytes) -> None:
        import httpx

        from llama_orch_utils.errors import OrchError

        self._begun = False
        door = cast("_Server", self.server).relay.door(self.headers.get("authorization", ""))
        if door is None or ".." in self.path or not _OPEN.fullmatch(f"{self.command} {self.path.partition('?')[0]}"):
            self._refuse(403, "not_allowed", "the applet may reach its target only")
            return
        try:
            base, key, client = door.way()
            headers = [(name, each) for name, each in self.headers.items() if name.lower() not in _DROPPED]
            headers.append(("authorization", f"Bearer {key}"))
            address = base + self.path.removeprefix("/v1")
            with client.stream(self.command, address, headers=headers, content=body) as answer:
                self._answer(answer)
        except OrchError as error:
            self._refuse(error.status, error.code, error.message)
        except httpx.HTTPError as error:
            self._refuse(503, "target_unreachable", f"the target cannot be reached: {type(error).__name__}")

    def _answer(self, answer: httpx.Response) -> None:
        self._begun = True
        self.send_response(answer.status_code)
        for name, each in answer.headers.items():
            if name.lower() not in _DROPPED | {"date", "server"}:
                self.send_header(name, each)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for part in _parts(answer):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, code: str, words: str) -> None:
        import json

        self.close_connection = True
        if self._begun:  # an answer that breaks off has no end
            return

        body = json.dumps({"error": {"message": words, "type": code, "code": code, "param": None}}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _parts(answer: httpx.Response) -> Iterator[bytes]:
    for part in answer.iter_bytes():
        if part:
            yield part
