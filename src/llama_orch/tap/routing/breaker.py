# SPDX-License-Identifier: GPL-3.0-or-later
"""A circuit breaker: it keeps requests away from a server that fails, and lets one through to see whether it is back.

closed: requests go through. After a failure no more of them are under way than failures are left until it opens, so
that at most `failures` requests that begin after the first failure reach a dead server (one whose client leaves before
anybody knows has told nothing, and another may try in its place). open: none for `open_seconds`.
half_open: one, the probe; its success closes the breaker, its failure opens it again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """One server's, on one event loop. `clock` counts seconds; `failed` in a row, `opened` how often it opened."""

    def __init__(self, failures: int, open_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.threshold, self.open_seconds = failures, open_seconds
        self.failed = self.opened = 0
        self.on_news: Callable[[str], None] | None = None
        self._clock = clock
        self._open = False
        self._until = 0.0
        self._probing_until = 0.0
        self._era = 0
        self._suspects = 0
        self._change: asyncio.Future[None] | None = None

    @property
    def state(self) -> State:
        """What it is now."""
        if not self._open:
            return "closed"
        return "open" if self._clock() < self._until else "half_open"

    @property
    def opens_in(self) -> float:
        """Seconds until a probe may go through; 0 where one may."""
        return max(0.0, max(self._until, self._probing_until) - self._clock()) if self._open else 0.0

    def admits(self) -> bool:
        """Whether a request may go through now."""
        if self._open:
            return self._clock() >= self._until and self._clock() >= self._probing_until
        return not self.failed or self.failed + self._suspects < self.threshold

    @property
    def undecided(self) -> bool:
        """Whether it admits nothing only because requests are under way that will tell: worth waiting for."""
        return not self.admits() and self.state != "open"

    def enter(self) -> Ticket:
        """A request goes through; only while it `admits`. Its ticket has to hear how it went, or that nobody knows."""
        suspect = not self._open and self.failed > 0
        probe = self._open
        if probe:
            self._probing_until = float("inf")
            self._tell("probing")
        self._suspects += suspect
        return Ticket(self, self._era, suspect=suspect, probe=probe)

    async def change(self, seconds: float) -> bool:
        """Waits until something has changed; False where nothing did within `seconds`."""
        if self._change is None:
            self._change = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait([self._change], timeout=seconds)
        return bool(done)

    def hear(self, news: str) -> None:
        """What another process of this tap found out about the same server: failed, closed, probing."""
        listener, self.on_news = self.on_news, None
        if news == "failed":
            self.count_failure()
        elif news == "closed":
            self._close()
        elif news == "probing" and self._open:
            self._probing_until = self._clock() + self.open_seconds
        self.on_news = listener

    def count_failure(self) -> None:
        """One more failure in a row."""
        if self._open:
            return
        self.failed += 1
        self._tell("failed")
        if self.failed >= self.threshold:
            self._trip()
        self._stir()

    # For tickets

    def ended(self, ticket: Ticket, verdict: Literal["good", "bad", "unknown"]) -> None:
        """A ticket's request has been decided. What began in an earlier era decides nothing any more."""
        if ticket.era != self._era:
            return
        self._suspects -= ticket.suspect
        if ticket.probe:
            self._probing_until = 0.0
            if verdict == "bad":
                self._tell("failed")
                self._trip()
            elif verdict == "good":
                self._close()
                self._tell("closed")
        elif verdict == "bad":
            self.count_failure()
        elif verdict == "good" and self.failed:
            self._close()
            self._tell("closed")
        self._stir()

    def recall(self, failed: int) -> None:
        """A server that had been well broke off: the failures before that count again."""
        if not self._open:
            self.failed = max(self.failed, failed)
            self.count_failure()

    def _trip(self) -> None:
        self._open = True
        self._until = self._clock() + self.open_seconds
        self._probing_until = 0.0
        self._suspects = 0
        self._era += 1
        self.opened += 1

    def _close(self) -> None:
        self._era += self._open
        self._open = False
        self.failed = 0
        self._probing_until = 0.0
        self._stir()

    def _tell(self, news: str) -> None:
        if self.on_news is not None:
            self.on_news(news)

    def _stir(self) -> None:
        change, self._change = self._change, None
        if change is not None and not change.done():
            change.set_result(None)


class Ticket:
    """One request behind a breaker. The first word about it counts; `broke` may follow on `good`."""

    __slots__ = ("_before", "_breaker", "_decided", "era", "probe", "suspect")

    def __init__(self, breaker: Breaker, era: int, *, suspect: bool, probe: bool) -> None:
        self._breaker, self.era, self.suspect, self.probe = breaker, era, suspect, probe
        self._decided = False
        self._before = 0

    def good(self) -> None:
        """The server answers."""
        if not self._decided:
            self._before = self._breaker.failed
            self._end("good")

    def bad(self) -> None:
        """It did not answer, or by an error of its own; or it answered and broke off."""
        if self._decided:
            self._breaker.recall(self._before)
        else:
            self._end("bad")

    def unknown(self) -> None:
        """Nobody waited for it long enough to know. Harmless when it is known."""
        if not self._decided:
            self._end("unknown")

    def _end(self, verdict: Literal["good", "bad", "unknown"]) -> None:
        self._decided = True
        self._breaker.ended(self, verdict)
