# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests are let in, and when to come back for those that are not."""

from __future__ import annotations

from llama_orch_utils.errors import RateLimited

_WEIGHT = 0.2
_LONGEST = 60.0


class Admission:
    """Bounds the requests inside, and with them the memory of their bodies. Lives on the event loop."""

    def __init__(self, queue: int) -> None:
        self._queue = queue
        self.slots = 1
        self.active = 0
        self._seconds = 1.0

    def enter(self) -> None:
        """Counts a request in. Raises RateLimited, with an estimate of when a place is free, if all are taken."""
        places = self.slots + self._queue
        if self.active >= places:
            wait = min(_LONGEST, max(1.0, self._seconds / self.slots))
            raise RateLimited(
                f"{self.active} requests are running or waiting; {places} are the most",
                retry_after=round(wait, 1),
                hint="try again after Retry-After seconds",
            )
        self.active += 1

    def leave(self, seconds: float) -> None:
        """Counts a request out that took `seconds`."""
        self.active -= 1
        self._seconds += _WEIGHT * (seconds - self._seconds)
