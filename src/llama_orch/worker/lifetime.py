# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a worker stays: `keep_alive` seconds after its last request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

GRACE = 5.0
"""Seconds that a starter, or whoever just asked for this worker, has to send a request."""


class Lifetime:
    """Calls `end` once, when the worker has been idle for long enough.

    `keep_alive` is seconds; negative: for ever; 0: as soon as it is idle and `starter_gone` was called. Whoever asks
    for the worker by `touch` gets GRACE seconds at least, and may lengthen the keep-alive: the longest wish wins.
    """

    def __init__(self, keep_alive: float, *, starter_known: bool, end: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self.keep_alive = math.inf if keep_alive < 0 else keep_alive
        self._starter_stays = starter_known
        self._end: Callable[[], None] | None = end
        self._active = 0
        self._until = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._started = False

    def start(self) -> None:
        """Begins to count: the model is loaded."""
        self._started = True
        self.touch()

    def touch(self, keep_alive: float | None = None) -> None:
        """Somebody is about to use the worker."""
        if keep_alive is not None:
            self.keep_alive = max(self.keep_alive, math.inf if keep_alive < 0 else keep_alive)
        self._extend(max(self.keep_alive, GRACE))

    def begin(self) -> None:
        """A request has come."""
        self._active += 1

    def finish(self) -> None:
        """A request has ended."""
        self._active -= 1
        self._extend(self.keep_alive)

    def starter_gone(self) -> None:
        """The process that started this worker has ended."""
        self._starter_stays = False
        if self.keep_alive == 0:
            self._until = self._loop.time()
        self._check()

    def remaining(self) -> float | None:
        """Seconds until the end if nothing happens; None while that cannot be told."""
        if self._active or not math.isfinite(self._until) or (self.keep_alive == 0 and self._starter_stays):
            return None
        return max(0.0, self._until - self._loop.time())

    def _extend(self, seconds: float) -> None:
        self._until = max(self._until, self._loop.time() + seconds)
        self._check()

    def _check(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._started or self._end is None:
            return
        left = self.remaining()
        if left is None:
            return
        if left > 0:
            self._timer = self._loop.call_later(min(left, 3600.0), self._check)
            return
        end, self._end = self._end, None
        end()
