# SPDX-License-Identifier: GPL-3.0-or-later
"""A writer's connection to the database: loads the page of a batch, writes its changes, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from llama_orch.ledger.changes import Changes, Row
from llama_orch.ledger.kept import Kept

Sql = tuple[str, bytes]
"""A read as SQLite and as PostgreSQL say it (`statements.read`)."""


@dataclass(slots=True)
class Wanted:
    """What a batch touches. `numbers`: how many reservations it may make; `running`: how many run."""

    accounts: set[str] = field(default_factory=set[str])
    keys: set[str] = field(default_factory=set[str])
    models: set[str] = field(default_factory=set[str])
    reservations: set[int] = field(default_factory=set[int])
    claims: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    runs: set[str] = field(default_factory=set[str])
    numbers: int = 0
    running: bool = False


class Store(Protocol):
    """One connection. Raises LedgerAway when there is no database, LedgerDamaged when it forbids a write.

    `kept` is None where the database cannot tell whether somebody else has written.
    """

    kept: Kept | None

    def begin(self, accounts: Sequence[str]) -> None:
        """Begins a transaction that no other writer of these accounts overlaps."""
        ...

    def begin_reading(self) -> None:
        """Begins a transaction whose reads all see the same instant; `rollback` ends it."""
        ...

    def fetch(self, reads: Sequence[tuple[Sql, tuple[Any, ...]]]) -> list[list[Any]]:
        """The rows of several reads, in one round trip. A list among the parameters is a list of ids."""
        ...

    def numbers(self, count: int) -> Iterator[int]:
        """Ids for new reservations."""
        ...

    def commit(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Writes each statement's rows, and commits durably."""
        ...

    def rollback(self) -> None:
        """Gives the transaction up."""
        ...

    def close(self) -> None:
        """Lets the connection go."""
        ...


def rows_of(changes: Changes) -> dict[str, Sequence[Row]]:
    """What each statement of `statements.WRITES` has to write; only those that have something."""
    touched = sorted(changes.balance.keys() | changes.reserved.keys())
    rows: dict[str, Iterable[Row]] = {
        "renewed": (changes.renewed[number] for number in sorted(changes.renewed)),
        "accounts": ((changes.balance.get(name, 0), changes.reserved.get(name, 0), name) for name in touched),
        "grants": ((change, grant) for grant, change in sorted(changes.grants.items()) if change),
        "begun": changes.begun,
        "runs": ((change, run) for run, change in sorted(changes.runs.items()) if change),
        "over": changes.over,
        "closed": changes.closed,
        "journal": changes.journal,
        "opened": changes.opened.values(),
        "ended": changes.ended,
        "usage": changes.usage,
        "days": ((*place, *sums) for place, sums in sorted(changes.days.items())),
        "keys": (
            (name, key.record.account, key.running, key.minute.text(), key.day, key.day_spent, key.month,
             key.month_spent, key.total_spent)
            for name, key in sorted(changes.keys.items())
        ),
        "unclaimed": changes.unclaimed,
        "claimed": changes.claimed,
        "answered": changes.answered,
        "forgotten": changes.forgotten,
        "engines": {row[:2]: row for row in changes.engines}.values(),
        "uncounted": changes.uncounted,
    }  # fmt: skip
    return {name: list(some) for name, some in rows.items() if some}
