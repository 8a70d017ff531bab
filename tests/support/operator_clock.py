# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that a test turns."""

from __future__ import annotations

DAY = 86_400.0
START = 1_795_000_000.0


class Clock:
    """Unix seconds; `clock()` tells them, `later` moves on."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def later(self, *, days: float = 0, seconds: float = 0) -> None:
        self.now += days * DAY + seconds
