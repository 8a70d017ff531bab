# SPDX-License-Identifier: GPL-3.0-or-later
"""A bound on second tries: where much fails, they must not become a storm of their own."""

from __future__ import annotations

import time
from collections.abc import Callable

_WINDOW = 60.0


class RetryBudget:
    """Second tries are at most `ratio` of the requests of the last one to two minutes, and `floor` while those are few.

    (Envoy's retry budget, with a window for its count of active requests.) Each process has one of its own: where each
    stays within the ratio of its own requests, all of them stay within the ratio of all requests.
    """

    def __init__(self, ratio: float, floor: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.ratio, self.floor = ratio, floor
        self._clock = clock
        self._since = clock()
        self._now = [0, 0]
        self._before = [0, 0]

    @property
    def requests(self) -> int:
        """Requests in the window."""
        self._turn()
        return self._now[0] + self._before[0]

    @property
    def retries(self) -> int:
        """Second tries in the window."""
        self._turn()
        return self._now[1] + self._before[1]

    def count(self) -> None:
        """A request has come."""
        self._turn()
        self._now[0] += 1

    def spend(self) -> bool:
        """Whether one more second try may be made; it is counted."""
        if self.retries + 1 > max(self.floor, int(self.ratio * self.requests)):
            return False
        self._now[1] += 1
        return True

    def _turn(self) -> None:
        passed = self._clock() - self._since
        if passed < _WINDOW:
            return
        self._before = self._now if passed < 2 * _WINDOW else [0, 0]
        self._now = [0, 0]
        self._since = self._clock()
