# SPDX-License-Identifier: GPL-3.0-or-later
"""The other gateway processes of the same tap, as places where a stored response may be.

Responses are kept in the memory of the process that made them, and the kernel hands a client's next connection to
whichever process it likes. So each listens on a Unix socket of its own as well, in a folder that only this user may
enter, and a request for what is not here is handed on, as it came, to whoever has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch.tap.protocol import Connection
from llama_orch.tap.server import Config, Server
from llama_orch.tap.upstream import UpstreamBroken, UpstreamConnection
from llama_orch_utils.config.paths import runtime_dir
from llama_orch_utils.errors import EngineFailed, RequestError

if TYPE_CHECKING:
    from llama_orch.tap.app import App
    from llama_orch.tap.call import Call
    from llama_orch.tap.routes import Handler
    from llama_orch.tap.tap import Tap

HOP, PEER = b"x-orch-hop", b"x-orch-peer"
_HANDED_ON = (b"authorization", b"x-api-key", b"content-type", b"idempotency-key")
_HELD_BACK = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server", b"x-orch-request-id"))
_ABSENT = frozenset(("response_not_found", "previous_response_not_found", "item_not_found"))
_NOT_FOUND = 404
_SUFFIX = ".near"


class Neighbours:
    """`open` listens; `ask` hands a request on to the others, in turn, until one of them has what it is about."""

    def __init__(self, tap: Tap, place: Path, server: asyncio.Server) -> None:
        self._tap, self._place, self._server = tap, place, server

    @classmethod
    async def open(cls, tap: Tap, app: App) -> Neighbours:
        """Listens beside the processes that have the same parent, and makes itself a part of the tap."""
        folder = runtime_dir() / "taps" / str(os.getppid())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        place = folder / f"{os.getpid()}{_SUFFIX}"
        place.unlink(missing_ok=True)
        config = Config(app, tap.options, None)
        server, lifespan = Server(config), config.lifespan_class(config)
        new = functools.partial(Connection, config, server.server_state, lifespan.state)
        listening = await asyncio.get_running_loop().create_unix_server(new, str(place))
        found = tap.neighbours = cls(tap, place, listening)
        return found

    async def close(self) -> None:
        """No more requests of the others."""
        self._tap.neighbours = None
        self._server.close()
        self._place.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._place.parent.rmdir()  # the last one leaves nothing

    async def ask(self, call: Call) -> bool:
        """Whether another process has answered. Raises EngineFailed where it broke off."""
        if is_near(call) or call.client.run:  # it has been handed on once already; what a run stores is here
            return False
        for place in sorted(self._place.parent.glob(f"*{_SUFFIX}")):
            if place != self._place and await self._asked(call, place):
                call.handed_on = True
                return True
        return False

    async def _asked(self, call: Call, place: Path) -> bool:
        try:
            connection = await self._tap.pool.acquire(str(place))
        except OSError:
            place.unlink(missing_ok=True)  # noqa: ASYNC240 - its process was killed; that is quick
            return False
        try:
            body = call.given or b""
            await connection.ask(_head(call, len(body)), body)
            if connection.status == _NOT_FOUND:
                return False
            await _pass_on(call, connection)
        except UpstreamBroken as broken:
            if not call.status:
                return False
            raise EngineFailed("the process that had the response ended", code="worker_died") from broken
        finally:
            self._tap.pool.release(str(place), connection)
        return True


def everywhere(handler: Handler) -> Handler:
    """The same handler, which looks with the neighbours for what is not stored here."""

    @functools.wraps(handler)
    async def handle(tap: Tap, call: Call) -> None:
        if tap.neighbours is None:
            await handler(tap, call)
            return
        if call.scope["method"] == "POST":
            call.given = await call.body()
        try:
            await handler(tap, call)
        except RequestError as error:
            if error.code not in _ABSENT or call.status or not await tap.neighbours.ask(call):
                raise

    return handle


def is_near(call: Call) -> bool:
    """Whether a neighbour handed the request on: it came over a Unix socket."""
    connection = call.connection
    found: socket.socket | None = None if connection is None else connection.transport.get_extra_info("socket")
    return found is not None and found.family == socket.AF_UNIX


async def _pass_on(call: Call, connection: UpstreamConnection) -> None:
    await call.start(connection.status, [pair for pair in connection.headers if pair[0] not in _HELD_BACK])
    while chunk := await connection.read():
        await call.write(chunk)
    await call.end()


def _head(call: Call, length: int) -> bytes:
    scope = call.scope
    query = b"?" + call.query if call.query else b""
    target = bytes(scope["raw_path"]) + query
    lines = [b"%b %b HTTP/1.1" % (scope["method"].encode(), target), b"host: localhost", HOP + b": 1"]
    lines += [b"x-orch-request-id: " + call.id.encode(), b"content-length: %d" % length]
    peer = scope.get("client")
    if peer:
        lines.append(PEER + b": " + str(peer[0]).encode())
    lines += [name + b": " + call.headers[name] for name in _HANDED_ON if name in call.headers]
    return b"\r\n".join([*lines, b"", b""])
