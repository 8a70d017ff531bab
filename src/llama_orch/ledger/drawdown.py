# SPDX-License-Identifier: GPL-3.0-or-later
"""Which grants pay: priority, then the earliest expiry, then the oldest."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Part = tuple[str, int]
"""A grant's id and micro-euros."""


@dataclass(slots=True)
class OpenGrant:
    """A grant that has not been closed; `remaining` changes as the transaction goes on."""

    id: str
    remaining: int
    priority: int
    granted_at: float
    expires_at: float | None
    scope: str

    def spendable(self, now: float, scope: str = "") -> bool:
        """Whether it can pay now; at `expires_at` itself it cannot any more."""
        return self.remaining > 0 and (self.expires_at is None or self.expires_at > now) and self.scope in {"", scope}


def order_of(grant: OpenGrant) -> tuple[int, float, float, str]:
    """The sort key of the draw-down."""
    return grant.priority, math.inf if grant.expires_at is None else grant.expires_at, grant.granted_at, grant.id


def balance_of(grants: Iterable[OpenGrant], now: float, scope: str = "") -> int:
    """What these grants can pay now, together."""
    total = 0
    for grant in grants:
        if grant.spendable(now, scope):
            total += grant.remaining
    return total


def draw(grants: Sequence[OpenGrant], amount: int, now: float, scope: str = "") -> list[Part]:
    """Takes `amount` out of sorted `grants`, which must afford it, and says what came from which."""
    parts: list[Part] = []
    for grant in grants:
        if amount == 0:
            break
        if grant.spendable(now, scope):
            taken = min(grant.remaining, amount)
            grant.remaining -= taken
            amount -= taken
            parts.append((grant.id, taken))
    assert amount == 0, "the caller checks the balance first"
    return parts


def written(parts: Sequence[Part]) -> str:
    """As they are stored with a reservation: JSON."""
    return "[" + ", ".join([f"[{_quoted(grant)}, {amount}]" for grant, amount in parts]) + "]"


@functools.lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    return json.dumps(text)


def spend(parts: Sequence[Part], cost: int) -> list[Part]:
    """What goes back of `parts` after `cost` was paid from them, the first taken first."""
    back: list[Part] = []
    for grant, amount in parts:
        paid = min(amount, cost)
        cost -= paid
        if amount > paid:
            back.append((grant, amount - paid))
    return back
