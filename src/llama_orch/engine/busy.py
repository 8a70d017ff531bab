# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the time is that a model computes: each stretch of it is divided among those that had a part in it.

So the times of all requests together are the time that the model was at work, never more, however many ran at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Used:
    """What a request took: its share of the `seconds` that the model computed."""

    seconds: float = 0.0


class Meter(Protocol):
    """Tells how long something was at work, in seconds of its devices. One thread at a time."""

    def begin(self) -> None:
        """It begins to compute."""
        ...

    def lap(self) -> float:
        """Seconds since `begin` or the last `lap`."""
        ...

    def end(self) -> None:
        """It has nothing to do."""
        ...


class OwnTime:
    """A meter of one device that nobody else uses. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._mark = clock()

    def begin(self) -> None:
        """It begins to compute."""
        self._mark = self._clock()

    def lap(self) -> float:
        """Seconds since `begin` or the last `lap`."""
        before, self._mark = self._mark, self._clock()
        return self._mark - before

    def end(self) -> None:
        """Nothing."""


class Shares:
    """The same for work that cannot be looked into: while n run, each of them has an n-th of the time. Any thread.

    `enter` and `leave` frame one; `passed` is what one that has run all along would have by now.
    """

    def __init__(self, meter: Meter) -> None:
        self.meter = meter
        self._running = 0
        self._passed = 0.0
        self._lock = threading.Lock()

    def enter(self) -> float:
        """One begins; `passed` at this moment."""
        with self._lock:
            if self._running:
                self._passed += self.meter.lap() / self._running
            else:
                self.meter.begin()
            self._running += 1
            return self._passed

    def passed(self) -> float:
        """Until now; only while one runs."""
        with self._lock:
            self._passed += self.meter.lap() / self._running
            return self._passed

    def leave(self) -> float:
        """One has ended; `passed` at this moment."""
        with self._lock:
            self._passed += self.meter.lap() / self._running
            self._running -= 1
            if not self._running:
                self.meter.end()
            return self._passed
