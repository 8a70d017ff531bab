# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch of operations reads: the rows it touches, loaded under the accounts' locks, and changed in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from llama_orch.ledger.calendar import day_of, month_of
from llama_orch.ledger.drawdown import OpenGrant, Part
from llama_orch.ledger.minute import Minute
from llama_orch.ledger.records import Charge, KeyRecord, Price


@dataclass(slots=True)
class AccountPage:
    """An account and its open grants, in the order in which they are drawn.

    `fee_stops_at`: it owes a month fee, and pauses from then on.
    """

    id: str
    paused: bool
    fee_stops_at: float | None = None
    running: int = 0  # known only where an order asks for it
    grants: list[OpenGrant] = field(default_factory=list[OpenGrant])


@dataclass(slots=True)
class KeyPage:
    """A key, and what it is using. `spent` counts reservations in full until they end."""

    record: KeyRecord
    running: int = 0
    minute: Minute = field(default_factory=Minute)
    day: int = 0
    day_spent: int = 0
    month: int = 0
    month_spent: int = 0
    total_spent: int = 0

    def turn(self, now: float) -> None:
        """Begins a new day and a new month where the clock has."""
        if (day := day_of(now)) > self.day:
            self.day, self.day_spent = day, 0
            if (month := month_of(now)) > self.month:
                self.month, self.month_spent = month, 0


@dataclass(slots=True)
class OpenReservation:
    """A row of `reservations`, with its price."""

    id: int
    request_id: str
    account: str
    key: str
    model: str
    kind: str
    prompt_tokens: int
    max_tokens: int
    amount: int
    parts: list[Part]
    created_at: float
    lease_until: float
    checkpoint: str | None
    idempotency: str | None
    price: Price
    run: str | None = None


@dataclass(slots=True)
class RunPage:
    """A row of `runs`. `spent` counts reservations in full until they end."""

    id: str
    key: str
    account: str
    most: int
    spent: int
    expires_at: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of `idempotency`. Its answer is kept or not; its reservation is open or has ended."""

    digest: bytes
    expires_at: float
    reservation: int | None
    answered: bool
    ended: bool


@dataclass(slots=True)
class Page:
    """All of it. `numbers` are reservation ids that nobody else uses, where they have been asked for (`numbered`).

    The prices hold from `since` to before `until`.
    """

    since: float
    until: float = math.inf
    accounts: dict[str, AccountPage] = field(default_factory=dict[str, AccountPage])
    keys: dict[str, KeyPage] = field(default_factory=dict[str, KeyPage])
    prices: dict[str, Price] = field(default_factory=dict[str, Price])
    priced: set[str] = field(default_factory=set[str])  # models whose price was looked for, and `*`
    reservations: dict[int, OpenReservation] = field(default_factory=dict[int, OpenReservation])
    ended: dict[int, Charge] = field(default_factory=dict[int, Charge])
    claims: dict[tuple[str, str], Claim] = field(default_factory=dict[tuple[str, str], Claim])
    runs: dict[str, RunPage] = field(default_factory=dict[str, RunPage])
    numbers: Iterator[int] = field(default_factory=lambda: iter(()))
    numbered: bool = False
