# SPDX-License-Identifier: GPL-3.0-or-later
"""A key's last minute, second by second: never more than the limit in any sixty seconds, whenever they begin."""

from __future__ import annotations

import json

SPAN = 60


class Minute:
    """Requests and tokens of each second of the last minute, oldest first. The oldest second counts in full."""

    __slots__ = ("seconds",)

    def __init__(self, text: str = "[]") -> None:
        self.seconds: list[list[int]] = [] if text == "[]" else json.loads(text)

    def forget(self, now: float) -> None:
        """Drops what is over a minute old."""
        limit = int(now) - SPAN
        self.seconds = [entry for entry in self.seconds if entry[0] >= limit]

    @property
    def requests(self) -> int:
        """In the last minute."""
        return sum(entry[1] for entry in self.seconds)

    @property
    def tokens(self) -> int:
        """In the last minute: what was reserved, and what was used where a request has ended."""
        return sum(entry[2] for entry in self.seconds)

    def add(self, now: float, tokens: int) -> None:
        """Counts one request."""
        second = int(now)
        if not self.seconds or self.seconds[-1][0] < second:
            self.seconds.append([second, 0, 0])
        self.seconds[-1][1] += 1
        self.seconds[-1][2] += tokens

    def correct(self, at: float, change: int) -> None:
        """Tokens that a request of the time `at` did not use after all (or used beyond its bound)."""
        for entry in self.seconds:
            if entry[0] == int(at):
                entry[2] = max(0, entry[2] + change)

    def wait(self, now: float, *, requests: int = 0, tokens: int = 0) -> float:
        """Seconds until so many requests and tokens of the oldest have left the window."""
        for second, gone_requests, gone_tokens in self.seconds:
            requests -= gone_requests
            tokens -= gone_tokens
            if requests <= 0 and tokens <= 0:
                return max(0.0, second + SPAN + 1 - now)
        return float(SPAN)

    def text(self) -> str:
        """As it is stored."""
        return json.dumps(self.seconds) if self.seconds else "[]"
