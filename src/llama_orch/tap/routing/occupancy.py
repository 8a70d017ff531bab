# SPDX-License-Identifier: GPL-3.0-or-later
"""How long requests occupy a server elsewhere that tells no GPU time: the time on the wall, divided among them.

While n requests of this tap are there at once, in whatever process of it, each has an n-th of the time. So all of them
together pay for the time in which any of them was there.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from llama_orch.busy_clock import BusyClock
from llama_orch_utils.config import paths


class Occupancy:
    """Of the server at `url`; its clock is opened by the first request that is charged by it."""

    def __init__(self, url: str) -> None:
        self._name = f"upstream-{hashlib.sha256(url.encode()).hexdigest()[:32]}"

    def enter(self) -> Stay:
        """A request goes there. Raises ConfigError where the clock cannot be kept."""
        return Stay(_clock(paths.runtime_dir() / "busy", self._name))


@functools.cache
def _clock(folder: Path, name: str) -> BusyClock:
    """One for all models of a server: the kernel's locks on a file are a process's, not its descriptors'."""
    return BusyClock(folder, name)


class Stay:
    """One request's. `seconds` is its part until now, and stays what it was when it was first asked for."""

    def __init__(self, clock: BusyClock) -> None:
        self._clock: BusyClock | None = clock
        self._entered = clock.enter()
        self._seconds: float | None = None

    @property
    def seconds(self) -> float:
        """Its part of the time, fixed by the first look at it: what a client is told is what it is charged."""
        if self._seconds is None:
            self._seconds = 0.0 if self._clock is None else self._clock.read() - self._entered
        return self._seconds

    def leave(self) -> None:
        """The request is there no more. Harmless when repeated."""
        _ = self.seconds
        clock, self._clock = self._clock, None
        if clock is not None:
            clock.leave()
