# SPDX-License-Identifier: GPL-3.0-or-later
"""What a batch writes: rows and sums, collected while its operations are decided, written in one go."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from llama_orch.ledger.calendar import day_of
from llama_orch.ledger.drawdown import Part
from llama_orch.ledger.page import KeyPage, OpenReservation
from llama_orch.ledger.records import Usage

Row = tuple[object, ...]


def _zeroes() -> dict[tuple[str, int, str, str], list[int]]:
    return defaultdict(lambda: [0] * 7)


@dataclass(slots=True)
class Changes:
    """Sums by account, grant and day; rows for the rest, each as its statement in `statements` takes it."""

    balance: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    reserved: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    grants: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    days: dict[tuple[str, int, str, str], list[int]] = field(default_factory=_zeroes)
    keys: dict[str, KeyPage] = field(default_factory=dict[str, KeyPage])
    runs: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    begun: list[Row] = field(default_factory=list[Row])
    over: list[Row] = field(default_factory=list[Row])
    closed: list[Row] = field(default_factory=list[Row])
    journal: list[Row] = field(default_factory=list[Row])
    opened: dict[int, Row] = field(default_factory=dict[int, Row])
    renewed: dict[int, Row] = field(default_factory=dict[int, Row])
    ended: list[Row] = field(default_factory=list[Row])
    usage: list[Row] = field(default_factory=list[Row])
    unclaimed: list[Row] = field(default_factory=list[Row])
    claimed: list[Row] = field(default_factory=list[Row])
    answered: list[Row] = field(default_factory=list[Row])
    forgotten: list[Row] = field(default_factory=list[Row])
    engines: list[Row] = field(default_factory=list[Row])
    uncounted: list[Row] = field(default_factory=list[Row])

    def take(self, account: str, parts: list[Part], now: float, number: int, price: int) -> None:
        """From grants into `reserved`."""
        for grant, amount in parts:
            book = f"grant:{grant}"
            self.journal.append((now, "reserve", account, book, "reserved", amount, number, price, "", ""))
            self.grants[grant] -= amount
            self.balance[account] -= amount
            self.reserved[account] += amount

    def pay(self, held: OpenReservation, cost: int, now: float, outcome: str) -> None:
        """From `reserved` into the revenue."""
        if cost:
            row = (now, "settle", held.account, "reserved", "revenue", cost, held.id, held.price.id, outcome, "")
            self.journal.append(row)
            self.reserved[held.account] -= cost

    def give_back(self, held: OpenReservation, part: Part, now: float, why: str, *, closed: bool) -> None:
        """From `reserved` to the grant it came from; from there on to `expired` where that grant is closed."""
        grant, amount = part
        book = f"grant:{grant}"
        row = (now, "release", held.account, "reserved", book, amount, held.id, held.price.id, why, "")
        self.journal.append(row)
        self.reserved[held.account] -= amount
        if closed:
            self.expire(held.account, grant, amount, now, held.id)
        else:
            self.grants[grant] += amount
            self.balance[held.account] += amount

    def expire(self, account: str, grant: str, amount: int, now: float, number: int | None = None) -> None:
        """From a grant into `expired`."""
        book = f"grant:{grant}"
        why = "the grant's time is over"
        self.journal.append((now, "expire", account, book, "expired", amount, number, None, why, "sweeper"))

    def count(self, held: OpenReservation, usage: Usage, cost: int, now: float) -> None:
        """Into the sums of the day."""
        sums = self.days[held.account, day_of(now), held.key, held.model]
        used = (usage.prompt_tokens, usage.cached_tokens, usage.output_tokens, usage.embedding_tokens)
        for index, number in enumerate((1, *used, usage.gpu_microseconds, cost)):
            sums[index] += number
