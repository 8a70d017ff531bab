# SPDX-License-Identifier: GPL-3.0-or-later
"""Open connections to workers and to servers elsewhere, by where they listen."""

from __future__ import annotations

import asyncio
import time
from functools import partial

from llama_orch.tap.upstream.address import Address
from llama_orch.tap.upstream.connection import HIGH_WATER, NEVER, UpstreamConnection

_IDLE_SECONDS = 30.0
"""Well below what a worker waits for the next request: none is ever sent into a connection that is being closed."""
_IDLE_ELSEWHERE = 4.0
"""Other servers close after 5 seconds (uvicorn, llama-server)."""
_MOST_IDLE = 256
_RESTED = 0.5
"""Seconds; a connection that was idle for less is not closed for its idleness."""

Place = str | Address
"""The Unix socket of a worker, or a server elsewhere."""


class Pool:
    """Lives on the event loop. `high_water` bytes of an answer wait for a slow reader at most.

    `connect_seconds` a server elsewhere may take to be reached.
    """

    def __init__(self, high_water: int = HIGH_WATER, connect_seconds: float = 5.0) -> None:
        self.connect_seconds = connect_seconds
        self._idle: dict[Place, list[UpstreamConnection]] = {}
        self._watched: set[UpstreamConnection] = set()
        self._new = partial(UpstreamConnection, high_water)

    async def acquire(self, place: Place, *, fresh: bool = False) -> UpstreamConnection:
        """A connection to the server at `place`, a new one where it has to be `fresh`.

        Raises OSError where nobody listens, ssl.SSLError (an OSError) where nobody there can be trusted.
        """
        idle = None if fresh else self._idle.get(place)
        while idle:
            connection = idle.pop()
            if not connection.closed:
                connection.rested = time.monotonic() - connection.idle_since > _RESTED
                return connection
        loop = asyncio.get_running_loop()
        if isinstance(place, str):
            _, connection = await loop.create_unix_connection(self._new, place)
        else:
            name = place.host if place.tls is not None else None
            async with asyncio.timeout(self.connect_seconds):
                _, connection = await loop.create_connection(
                    self._new, place.host, place.port, ssl=place.tls, server_hostname=name
                )
        return connection

    def release(self, place: Place, connection: UpstreamConnection) -> None:
        """Takes it back; one whose answer was not read to its end is closed."""
        self._watched.discard(connection)
        connection.patience = connection.expires = NEVER
        idle = self._idle.setdefault(place, [])
        if not (connection.ended and connection.reusable) or len(idle) >= _MOST_IDLE:
            connection.abort()
            return
        connection.idle_since = time.monotonic()
        idle.append(connection)

    def watch(self, connection: UpstreamConnection, first: float, patience: float) -> None:
        """Gives the connection up if its answer does not begin within `first` seconds, or stops for `patience`."""
        connection.watch(first, patience)
        self._watched.add(connection)

    def sweep(self, now: float) -> None:
        """Closes what nobody has used for a while, and what does not answer; `now` by the monotonic clock."""
        for place, idle in list(self._idle.items()):
            longest = _IDLE_SECONDS if isinstance(place, str) else _IDLE_ELSEWHERE
            kept = [one for one in idle if not one.closed and now - one.idle_since < longest]
            for connection in set(idle) - set(kept):
                connection.abort()
            if kept:
                self._idle[place] = kept
            else:
                del self._idle[place]
        if self._watched:
            moment = asyncio.get_running_loop().time()
            for connection in [each for each in self._watched if moment > each.expires]:
                connection.expire()

    def close(self) -> None:
        """Closes all that are idle."""
        self.sweep(float("inf"))
