# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request on its way through the gateway: who asks, what for, and what has been answered so far."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.ledger.records import KeyRecord
    from llama_orch.tap.admission.entry import Entry
    from llama_orch.tap.body import Intake
    from llama_orch.tap.protocol import Connection
    from llama_orch.tap.routes import TapRoute

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

CONNECTION, TASK = "llama_orch.connection", "llama_orch.task"
"""Where a request's scope holds its connection, and until its call is made the task that answers it.

(To ask asyncio for the current task takes a system call.)
"""
JSON = (b"content-type", b"application/json")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")


_ID_BYTES = 12
_ids: deque[bytes] = deque()


def new_id() -> str:
    """24 random hexadecimal digits. The system is asked for randomness once for many: a call takes it 40 µs."""
    if not _ids:
        drawn = secrets.token_bytes(_ID_BYTES * 128)
        _ids.extend(drawn[at : at + _ID_BYTES] for at in range(0, len(drawn), _ID_BYTES))
    return _ids.pop().hex()


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: the id of its key, the address it comes from, and the name that it gave itself (`x-orch-client`).

    Clients take turns in every queue: by address and name, or in a gateway with accounts by `account` alone (another
    key would be a second turn). `record` is the key as the ledger has it, `run` the applet's run that asks with it.
    """

    key: str = field(default="", compare=False)
    host: str = ""
    name: str = ""
    account: str = ""
    record: KeyRecord | None = field(default=None, compare=False, repr=False)
    run: str = field(default="", compare=False)

    @property
    def owner(self) -> str:
        """Whose stored things it may see."""
        return self.run or self.account or self.key


_NOBODY = Client()


class ClientGone(Exception):  # noqa: N818 - nothing failed: it is how a request without a client ends
    """The client closed its connection before it had its answer."""


class Call:
    """One request. `status` is what was answered (0: nothing yet).

    `entry` is what the access log says of it; `given` its body, where that was read already; `idempotency` its
    `Idempotency-Key` and what tells its body from others; `handed_on`: another process answers it.

    The task that answers it is cancelled when the client goes (`gone`) and when the gateway ends (`ending`).
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.path: str = scope["path"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        given = self.headers.get(b"x-orch-request-id")
        self.id = given.decode() if given and _REQUEST_ID.fullmatch(given) else new_id()
        self.fixed: list[tuple[bytes, bytes]] = [(b"x-orch-request-id", self.id.encode())]
        self.route: TapRoute | None = None
        self.argument = ""
        self.client = _NOBODY
        self.status = 0
        self.finished = False
        self.gone = False
        self.ending: OrchError | None = None
        self.intake: Intake | None = None
        self.on_tick: Callable[[float], None] | None = None
        self.entry: Entry | None = None
        self.given: bytes | None = None
        self.handed_on = False
        self.idempotency: tuple[str, bytes] | None = None
        self.task: asyncio.Task[None] | None = scope.pop(TASK, None)
        self._receive, self._send = receive, send

    @property
    def connection(self) -> Connection | None:
        """The connection that it came over."""
        return self.scope.get(CONNECTION)

    @property
    def stuck(self) -> bool:
        """Whether its client does not read what was sent to it."""
        connection = self.connection
        return connection is not None and connection.flow.write_paused

    @property
    def query(self) -> bytes:
        """The query string, without its question mark."""
        return bytes(self.scope.get("query_string", b""))

    async def body(self) -> bytes:
        """The request body.

        Raises RequestError: 415 for another type than JSON, 413 too large, 408 too slow, and RateLimited when the
        bodies that the gateway holds fill its memory.
        """
        if self.given is not None:
            return self.given
        assert self.intake is not None, "the app gives every call its intake"
        return await self.intake.read(self._receive)

    async def reply(self, status: int, body: bytes, headers: Headers = (), *, kind: bytes = JSON[1]) -> None:
        """A whole answer, JSON unless `kind` says otherwise."""
        length = str(len(body)).encode()
        await self.start(status, [(b"content-type", kind), (b"content-length", length), *headers])
        await self.write(body, more=False)

    async def start(self, status: int, headers: Headers) -> None:
        """The head of an answer; the request's id is added."""
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *self.fixed]})

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        """More of the answer; waits while the client does not read."""
        if not more:
            self.finished = True
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def end(self) -> None:
        """The answer is over."""
        await self.write(b"", more=False)

    async def pass_on(self, message: Message) -> None:
        """A piece of an answer that was made for this request elsewhere, as it is."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif not message.get("more_body", False):
            self.finished = True
        await self._send(message)

    def deliver_to(self, send: Send) -> None:
        """From now on what is answered goes to `send`."""
        self._send = send

    def abandon(self) -> None:
        """The client has gone: whatever is being done for it ends."""
        self.gone = True
        if self.task is not None:
            self.task.cancel()

    def cut(self, error: OrchError) -> None:
        """Ends the request by `error`."""
        if self.ending is None and not self.gone and self.task is not None:
            self.ending = error
            self.task.cancel()

    def take_ending(self) -> OrchError | None:
        """The error that the request was ended by, for whoever caught its cancellation; None: it was another one's."""
        if self.gone or self.ending is None or self.task is None:
            return None
        self.task.uncancel()
        return self.ending

    def detached(self, identity: str | None = None) -> Call:
        """The same request for a task of its own, that goes on without its client; what is written goes nowhere.

        `identity` is the copy's own id, one of its own making unless given.
        """
        copy = Call(self.scope, _nothing, _nowhere)
        copy.id = identity or new_id()
        copy.fixed = [(b"x-orch-request-id", copy.id.encode())]
        copy.route, copy.argument, copy.client = self.route, self.argument, self.client
        copy.task = None
        return copy


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


async def _nowhere(message: Message) -> None:
    """Nobody listens."""
