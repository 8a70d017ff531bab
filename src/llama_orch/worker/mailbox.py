# SPDX-License-Identifier: GPL-3.0-or-later
"""Where one request's events wait until its connection takes them. Lives on the event loop only."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Final

from llama_orch.engine.records import Delta, Event


class Signal(Enum):
    """What happens to a request beside the engine's events."""

    GONE = "the client has gone"
    STOP = "the gateway wants no more of it"
    PING = "nothing was sent for a while"
    TOO_SLOW = "the client leaves too much unread"
    ROOM = "the engine has room for another of its choices"


Letter = Event | Signal
Addressed = tuple[int, Letter]
"""A letter and the number of the choice that it is about (0 for a signal, which is about the whole request)."""


class Mailbox:
    """All letters since the last `take` come out together, so that one engine step is one write.

    At most `limit` characters of text wait; beyond, `on_overflow` is called once, TOO_SLOW is the last letter and
    later text is dropped.
    """

    __slots__ = ("_letters", "_limit", "_loop", "_on_overflow", "_size", "_waiter", "gone", "overflowed_at")

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int, on_overflow: Callable[[], None]) -> None:
        self._loop: Final = loop
        self._limit = limit
        self._on_overflow = on_overflow
        self._letters: list[Addressed] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self.gone = False
        self.overflowed_at: float | None = None

    def push(self, letter: Letter, choice: int = 0) -> None:
        """Adds a letter and wakes the reader."""
        if self.overflowed_at is not None and letter is not Signal.GONE and letter is not Signal.STOP:
            return
        self._letters.append((choice, letter))
        if type(letter) is Delta:
            self._size += len(letter.text)
            if self._size > self._limit:
                self._overflow()
        elif letter is Signal.GONE:
            self.gone = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def take(self) -> list[Addressed]:
        """Everything that waits; waits itself while there is nothing."""
        if not self._letters:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        letters, self._letters = self._letters, []
        self._size = 0
        return letters

    def _overflow(self) -> None:
        self.overflowed_at = self._loop.time()
        self._letters.append((0, Signal.TOO_SLOW))
        self._on_overflow()
