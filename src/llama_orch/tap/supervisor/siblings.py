# SPDX-License-Identifier: GPL-3.0-or-later
"""The other gateway processes of the same tap: what they found out about upstreams, and what they have counted."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.tap.supervisor.branch import Say

_SECONDS = 2.0
"""A process that does not answer by then is left out."""


class Siblings:
    """`tellers` give what this process says of a kind (`metrics`, `routes`) when another one gathers."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.tellers: dict[str, Callable[[], bytes]] = {}
        self._numbers = itertools.count(1)
        self._gathering: dict[int, asyncio.Future[list[bytes]]] = {}

    async def gather(self, kind: str, own: bytes) -> list[bytes]:
        """What every process says of a kind, this one (`own`) first."""
        number = next(self._numbers)
        answer = self._gathering[number] = asyncio.get_running_loop().create_future()
        self._say("gather", number, kind)
        try:
            async with asyncio.timeout(_SECONDS + 1):
                return [own, *await answer]
        except TimeoutError:
            return [own]
        finally:
            del self._gathering[number]

    # What the supervisor says

    def asked(self, number: int, kind: str) -> None:
        """Another process gathers."""
        teller = self.tellers.get(kind)
        self._say("told", number, b"" if teller is None else teller())

    def gathered(self, number: int, answers: list[bytes]) -> None:
        """What the others said."""
        answer = self._gathering.get(number)
        if answer is not None and not answer.done():
            answer.set_result([each for each in answers if each])


class Round:
    """One gathering, on the supervisor's side: `done` when all of `asked` have answered, or time is up."""

    def __init__(self, asked: Mapping[int, object], end: Callable[[list[bytes]], None]) -> None:
        self._left = set(asked)
        self._answers: list[bytes] = []
        self._end = end
        self.over = False
        self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.finish)
        if not self._left:
            self.finish()

    def hear(self, who: int, said: bytes) -> None:
        """One answer."""
        if who in self._left:
            self._left.discard(who)
            self._answers.append(said)
            if not self._left:
                self.finish()

    def finish(self) -> None:
        """Nobody else is waited for."""
        if not self.over:
            self.over = True
            self._timer.cancel()
            self._end(self._answers)
