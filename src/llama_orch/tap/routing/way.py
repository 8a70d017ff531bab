# SPDX-License-Identifier: GPL-3.0-or-later
"""One place where a model may be answered, and what is remembered about it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, Protocol

from llama_orch.tap.routing.breaker import Breaker
from llama_orch.tap.routing.errand import Errand

Kind = Literal["local", "upstream"]
LONGEST_REST = 60.0
"""Seconds that a server may ask to be left alone for (Retry-After)."""


class Way(Protocol):
    """`tier` 0 is asked first, a later one where those before it cannot; `weight` is the share within its tier."""

    id: str
    kind: Kind
    tier: int
    weight: int
    count: Count
    breaker: Breaker

    def speaks(self, path: str) -> bool:
        """Whether requests to the gateway's `path` can go there."""
        ...

    async def answer(self, errand: Errand, *, alone: bool) -> None:
        """Answers the request. Raises Elsewhere while another way may, `alone` where there is no other."""
        ...


class Count:
    """What has happened at one place since the start, in this process.

    `turn` belongs to the choice by weight; `rests_until` is when the server wants to be asked again (monotonic).
    """

    def __init__(self) -> None:
        self.requests = self.failures = self.running = 0
        self.turn = 0
        self.rests_until = 0.0
        self.last_error = ""

    def rest(self, seconds: float) -> None:
        """The server asked to be left alone for a while."""
        self.rests_until = time.monotonic() + min(seconds, LONGEST_REST)

    @property
    def rests_for(self) -> float:
        """Seconds that it still wants to be left alone; 0 where it does not."""
        return max(0.0, self.rests_until - time.monotonic()) if self.rests_until else 0.0


def heaviest(ways: Sequence[Way]) -> Way:
    """The next of them by smooth weighted round robin (as nginx): each in proportion, and never in a bunch."""
    total = 0
    for way in ways:
        share = max(1, way.weight)
        way.count.turn += share
        total += share
    best = max(ways, key=lambda way: way.count.turn)
    best.count.turn -= total
    return best
