# SPDX-License-Identifier: GPL-3.0-or-later
"""A bounded queue in front of few places: first come first served for each client, and the clients in turn."""

from __future__ import annotations

import asyncio
from collections import deque

from llama_orch.tap.call import Client
from llama_orch_utils.errors import RateLimited

_WEIGHT = 0.2
_LONGEST = 60.0
SHARE = 0.75
"""Of the queue's places that one client may hold: there is always room for another one."""


class Queue:
    """`places` may be in at once, `most` wait. Lives on the event loop."""

    def __init__(self, places: int, most: int) -> None:
        self.places = places
        self.running = 0
        self.waiting = 0
        self._most = most
        self._lines: dict[Client, deque[asyncio.Future[None]]] = {}
        self._turns: deque[Client] = deque()
        self._seconds = 1.0

    async def enter(self, client: Client) -> None:
        """Waits for a place; `leave` gives it back. Raises RateLimited at once where there is no room to wait."""
        if self.running < self.places and not self.waiting:
            self.running += 1
            return
        line = self._lines.get(client)
        self._check_room(0 if line is None else len(line))
        if line is None:
            line = self._lines[client] = deque()
            self._turns.append(client)
        turn = asyncio.get_running_loop().create_future()
        line.append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            self._give_up(client, turn)
            raise

    def leave(self, seconds: float) -> None:
        """A place is free again, after `seconds`."""
        self.running -= 1
        self._seconds += _WEIGHT * (seconds - self._seconds)
        self.admit()

    def admit(self) -> None:
        """Lets in whoever is next, while there are places."""
        while self.running < self.places and self._turns:
            client = self._turns.popleft()
            line = self._lines[client]
            turn = line.popleft()
            if line:
                self._turns.append(client)
            else:
                del self._lines[client]
            self.waiting -= 1
            if not turn.cancelled():  # else its client has gone, and its task has not run since
                self.running += 1
                turn.set_result(None)

    def _give_up(self, client: Client, turn: asyncio.Future[None]) -> None:
        if not turn.cancelled():  # its turn came in the moment when it went
            self.running -= 1
            self.admit()
            return
        line = self._lines.get(client)
        if line is None or turn not in line:
            return
        line.remove(turn)
        self.waiting -= 1
        if not line:
            del self._lines[client]
            self._turns.remove(client)

    def _check_room(self, mine: int) -> None:
        share = max(1, int(self._most * SHARE))
        if self.waiting < self._most and mine < share:
            return
        whose, count, most = ("all", self.waiting, self._most) if mine < share else ("your", mine, share)
        wait = min(_LONGEST, max(1.0, self._seconds * (1 + count) / max(1, self.places)))
        raise RateLimited(
            f"the queue is full: {count} of {whose} requests wait, {most} are the most",
            retry_after=round(wait, 1),
            hint="try again after Retry-After seconds",
        )
