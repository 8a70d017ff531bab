# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands of `orch tap` have in common: the folder, its books, and how amounts are written."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.ledger.books.book import Book
    from llama_orch.tap.config.record import TapConfig

_AMOUNTS = ("amount", "remaining", "balance", "reserved", "price", "cost", "budget_day", "budget_month")


@dataclass(frozen=True, kw_only=True)
class InTap(Printing):
    """What every command takes that is about a tap that is there."""

    dir: str | None = option(
        "--dir", value="DIR", complete="file", variable="ORCH_TAP_DIR", help="the tap's folder; here, if left out"
    )


def config_of(options: InTap) -> TapConfig:
    """The tap that is meant. Raises ConfigError."""
    from llama_orch.cli.tap.installed import check
    from llama_orch.tap.config.folder import existing
    from llama_orch.tap.config.reading import read

    check()
    return read(existing(options.dir))


@contextlib.contextmanager
def books(options: InTap) -> Generator[Book]:
    """The books of the tap that is meant, with whoever types as the actor. Raises ConfigError, LedgerAway."""
    config = config_of(options)
    from llama_orch.ledger.books.book import Book

    tenants = 1 if config.mode == "private" else None
    with Book.open(config.database, actor=_actor(), tenants=tenants) as book:
        yield book


def micro(flag: str, text: str) -> int:
    """The micro-euros of an amount in euros. Raises UsageError."""
    from llama_orch.tap.config.amount import micro_euros

    try:
        return micro_euros(text)
    except ValueError as error:
        raise UsageError(f"{flag} must be {error}, not '{text}'", hint=f"{flag} 10") from error


def euros(value: object) -> str:
    """Micro-euros for people: `EUR 10.00`, with more places only where there are more."""
    if not isinstance(value, int):
        return ""
    from decimal import Decimal

    exact = Decimal(value) / 1_000_000
    places = max(2, -int(exact.normalize().as_tuple().exponent))
    return f"EUR {exact:.{places}f}"


def for_people(row: dict[str, Any], out: Output) -> dict[str, Any]:
    """A row as it is shown: for people its amounts in euros, for programs as it is."""
    if out.mode != "human":
        return row
    return {name: euros(value) if name in _AMOUNTS else value for name, value in row.items()}


def _actor() -> str:
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user id without a name
        return "cli"
