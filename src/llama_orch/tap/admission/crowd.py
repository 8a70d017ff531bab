# SPDX-License-Identifier: GPL-3.0-or-later
"""How many requests run at once in this process: all together, and of one account (the ledger counts all processes)."""

from __future__ import annotations

from llama_orch_utils.errors import RateLimited


class Place:
    """One request's; `leave` gives it back. Harmless when repeated."""

    __slots__ = ("_account", "_crowd")

    def __init__(self, crowd: Crowd, account: str) -> None:
        self._crowd: Crowd | None = crowd
        self._account = account

    def leave(self) -> None:
        """The request is over."""
        crowd, self._crowd = self._crowd, None
        if crowd is not None:
            crowd.leave(self._account)


class Crowd:
    """At most `most` together, and `each` of one account."""

    def __init__(self, most: int, each: int) -> None:
        self.most, self.each = most, each
        self._running: dict[str, int] = {}
        self.running = 0

    def enter(self, account: str) -> Place:
        """Counts a request in. Raises RateLimited where there is no room."""
        mine = self._running.get(account, 0)
        if mine >= self.each or self.running >= self.most:
            whose = f"of this account {mine}" if mine >= self.each else f"{self.running}"
            raise RateLimited(
                f"{whose} requests run at once, and more may not",
                retry_after=1.0,
                hint="try again after Retry-After seconds",
            )
        self._running[account] = mine + 1
        self.running += 1
        return Place(self, account)

    def leave(self, account: str) -> None:
        """Counts one out."""
        self.running -= 1
        left = self._running[account] - 1
        if left:
            self._running[account] = left
        else:
            del self._running[account]
