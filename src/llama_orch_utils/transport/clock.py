# SPDX-License-Identifier: Apache-2.0
"""Time-outs: four phases, each with its own limit, and the clock that watches them."""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic
from typing import Literal

Phase = Literal["connect", "first_token", "between_tokens", "total"]

# After the last event only the end of the body follows; a server that holds it back costs us the connection, no more.
DRAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None is no limit.

    `connect`: until the connection stands. `first_token`: from then to the first piece of a streamed answer.
    `between_tokens`: between two pieces. `total`: the whole call, retries
    included, the start of a local worker left out.
    A whole answer (`chat`) comes at once, so only `connect` and `total` watch it.
    """

    connect: float | None = 10.0
    first_token: float | None = 600.0
    between_tokens: float | None = 120.0
    total: float | None = 3600.0


class PhaseElapsed(Exception):  # noqa: N818 - it says what happened
    """A phase took longer than its limit."""

    def __init__(self, phase: Phase, seconds: float) -> None:
        super().__init__(f"{phase}: {seconds:g} s")
        self.phase: Phase = phase
        self.seconds = seconds


class Clock:
    """Watches one call. A transport asks `left()` before it waits; the reader calls `token()` at each piece."""

    __slots__ = ("_between", "_end", "_ends_at", "_limit", "_phase", "limits")

    def __init__(self, limits: Timeouts, *, streamed: bool) -> None:
        now = monotonic()
        self.limits = limits
        self._ends_at = None if limits.total is None else now + limits.total
        self._phase: Phase = "first_token"
        self._limit = limits.first_token if streamed else None
        self._end = None if self._limit is None else now + self._limit
        self._between = limits.between_tokens if streamed else None

    def token(self) -> None:
        """A piece came: from now on the next one is awaited."""
        self._phase = "between_tokens"
        self._limit = self._between
        if self._between is not None:
            self._end = monotonic() + self._between
        else:
            self._end = None

    def drain(self) -> None:
        """The answer is whole; what is left of the body may take one more second."""
        self._phase, self._limit, self._end = "total", DRAIN_SECONDS, monotonic() + DRAIN_SECONDS

    def left(self) -> float | None:
        """Seconds until the nearest limit, None without one. Raises PhaseElapsed when it has passed."""
        if self._end is None and self._ends_at is None:
            return None
        now = monotonic()
        if self._end is not None and now >= self._end:
            raise PhaseElapsed(self._phase, self._limit or 0.0)
        if self._ends_at is None:
            return None if self._end is None else self._end - now
        if now >= self._ends_at:
            raise PhaseElapsed("total", self.limits.total or 0.0)
        return self._ends_at - now if self._end is None else min(self._end, self._ends_at) - now

    def total_left(self) -> float | None:
        """Seconds that the whole call has left, None without a limit."""
        return None if self._ends_at is None else self._ends_at - monotonic()

    def connect_left(self) -> float | None:
        """Seconds that a connection may take."""
        left = self.left()
        limit = self.limits.connect
        return left if limit is None else limit if left is None else min(limit, left)

    def connect_elapsed(self) -> PhaseElapsed:
        """What to raise when the connection took too long."""
        self.left()
        return PhaseElapsed("connect", self.limits.connect or 0.0)
