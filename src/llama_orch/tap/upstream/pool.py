# SPDX-License-Identifier: GPL-3.0-or-later
"""Open connections to workers, by socket."""

from __future__ import annotations

import asyncio
import time

from llama_orch.tap.upstream.connection import UpstreamConnection

_IDLE_SECONDS = 30.0
"""Well below what a worker waits for the next request: none is ever sent into a connection that is being closed."""
_MOST_IDLE = 64


class Pool:
    """Lives on the event loop."""

    def __init__(self) -> None:
        self._idle: dict[str, list[UpstreamConnection]] = {}

    async def acquire(self, socket: str) -> UpstreamConnection:
        """A connection to the worker at `socket`. Raises OSError where nobody listens."""
        idle = self._idle.get(socket)
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_unix_connection(UpstreamConnection, socket)
        return connection

    def release(self, socket: str, connection: UpstreamConnection) -> None:
        """Takes it back; one whose answer was not read to its end is closed."""
        idle = self._idle.setdefault(socket, [])
        if not (connection.ended and connection.reusable) or len(idle) >= _MOST_IDLE:
            connection.abort()
            return
        connection.idle_since = time.monotonic()
        idle.append(connection)

    def sweep(self, now: float) -> None:
        """Closes what nobody has used for a while; `now` by the monotonic clock."""
        for socket, idle in list(self._idle.items()):
            kept = [one for one in idle if not one.closed and now - one.idle_since < _IDLE_SECONDS]
            for connection in set(idle) - set(kept):
                connection.abort()
            if kept:
                self._idle[socket] = kept
            else:
                del self._idle[socket]

    def close(self) -> None:
        """Closes all that are idle."""
        self.sweep(float("inf"))
