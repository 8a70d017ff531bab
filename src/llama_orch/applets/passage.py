# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes through a relay's door: each request on its way to the target, with its key and within its budget."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils.applets import rpc
from llama_orch_utils.client import holding
from llama_orch_utils.errors import BadRequest, NotAllowed, OrchError, TargetTimeout, TargetUnreachable

if TYPE_CHECKING:
    import httpx

    from llama_orch.applets.relay import Relay
    from llama_orch_utils import Client
    from llama_orch_utils.client.budget import Hold

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
_NAME = "idempotency-key"
_COST = b'"cost"'
_MOST_BODY = 64 * 1024 * 1024


class Server(ThreadingHTTPServer):
    """Listens for one relay."""

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
    _kept: Hold | None = None

    def do_GET(self) -> None:
        """Forwards."""
        self._forward(b"")

    def do_POST(self) -> None:
        """Forwards, with the body."""
        length = self.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _MOST_BODY:
            self._refuse(BadRequest("the body must have a length, of at most 64 MiB"))
            return
        self._forward(self.rfile.read(int(length)))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as its base has it
        """Nothing: prompts go by here."""

    def _forward(self, body: bytes) -> None:
        import httpx

        self._begun = False
        self._kept: Hold | None = None
        door = cast("Server", self.server).relay.door(self.headers.get("authorization", ""))
        if door is None or ".." in self.path or not _OPEN.fullmatch(f"{self.command} {self.path.partition('?')[0]}"):
            self._refuse(NotAllowed("the applet may reach its target only"))
            return
        try:
            base, key, client = door.way()
            headers = [(name, each) for name, each in self.headers.items() if name.lower() not in _DROPPED]
            if body and holding.caps(door.client):
                body, self._kept = self._held(door.client, body, headers)
            headers.append(("authorization", f"Bearer {key}"))
            address = base + self.path.removeprefix("/v1")
            with client.stream(self.command, address, headers=headers, content=body) as answer:
                self._answer(answer, door.client)
        except OrchError as error:
            self._refuse(error)
        except httpx.HTTPError as error:
            self._refuse(_unreachable(door.client, error))
        finally:
            self._settle(door.client, None if self._begun else 0)

    def _held(self, client: Client, body: bytes, headers: list[tuple[str, str]]) -> tuple[bytes, Hold | None]:
        """The body that is affordable; one that became another must not go by the first one's name."""
        found, kept = holding.hold(client, self.path.removeprefix("/v1"), body)
        if kept is not None:
            digest = hashlib.sha256(found).hexdigest()[:12]
            headers[:] = [(name, f"{each}-{digest}" if name.lower() == _NAME else each) for name, each in headers]
        return found, kept

    def _settle(self, client: Client, cost: int | None) -> None:
        """Once; before the applet can know that its answer has ended."""
        kept, self._kept = self._kept, None
        if kept is not None:
            holding.settle(client, kept, cost)

    def _answer(self, answer: httpx.Response, client: Client) -> None:
        """Hands it on."""
        self._begun = True
        self.send_response(answer.status_code)
        for name, each in answer.headers.items():
            if name.lower() not in _DROPPED | {"date", "server"}:
                self.send_header(name, each)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if not answer.is_success:
            self._settle(client, 0)
        said, near = bytearray(), False
        for part in self._heard(answer) if answer.is_success else self._scrubbed(answer):
            if self._kept is not None:
                said += part
                near = near or _COST in said[-len(part) - len(_COST) :]
                if near and (cost := holding.cost_in(bytes(said))) is not None:
                    self._settle(client, cost)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def _heard(self, answer: httpx.Response) -> Iterator[bytes]:
        """Its parts; where somebody listens, he is told before the applet is."""
        hear = cast("Server", self.server).relay.hear
        if hear is None:
            return _parts(answer)
        whole = answer.read()
        hear(self.path.removeprefix("/v1").partition("?")[0], whole)
        return iter([whole] if whole else [])

    def _scrubbed(self, answer: httpx.Response) -> Iterator[bytes]:
        """An error that names the key must not tell it."""
        from llama_orch_utils.transport.openai_bridge import NO_KEY

        key = answer.request.headers["authorization"].removeprefix("Bearer ").encode()
        found = answer.read()
        found = found if key == NO_KEY.encode() else found.replace(key, b"[key]")
        return iter([found] if found else [])

    def _refuse(self, error: OrchError) -> None:
        import json

        self.close_connection = True
        if self._begun:  # an answer that breaks off has no end
            return
        body = json.dumps({"error": {"param": None, **rpc.said(error), "type": error.code}}).encode()
        self.send_response(error.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _parts(answer: httpx.Response) -> Iterator[bytes]:
    for part in answer.iter_bytes():
        if part:
            yield part


def _unreachable(client: Client, error: httpx.HTTPError) -> OrchError:
    """In the words of who would have asked."""
    import httpx

    if isinstance(error, httpx.ReadTimeout | httpx.PoolTimeout | httpx.WriteTimeout):
        return TargetTimeout(f"{client.target} says nothing for too long", phase="between_tokens", seconds=0.0)
    why = str(error).strip() or type(error).__name__
    where = "orch doctor" if client.target == "local" else f"orch target test {client.target}"
    return TargetUnreachable(
        f"{client.target} cannot be reached: {why}", hint=f"check the address and the network: {where}"
    )
