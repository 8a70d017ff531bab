# SPDX-License-Identifier: GPL-3.0-or-later
"""What was used and what it cost, for the operator: over all accounts or one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from sqlalchemy import func, select

from llama_orch.ledger.books import accounts
from llama_orch.ledger.books.book import Book, row_of
from llama_orch.ledger.schema import accounts as account_table
from llama_orch.ledger.schema import usage_days
from llama_orch_utils.errors import BadRequest

GroupBy = Literal["day", "model", "key", "account"]
GROUPS: tuple[GroupBy, ...] = ("day", "model", "key", "account")
_EPOCH = date(1970, 1, 1).toordinal()
_SUMS = ("requests", "prompt_tokens", "cached_tokens", "output_tokens", "embedding_tokens", "gpu_microseconds", "cost")


@dataclass(frozen=True, slots=True)
class UsageLine:
    """A sum; `group` is a day (`2026-11-21`, UTC), a model, a key's id, or an account's name."""

    group: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    embedding_tokens: int
    gpu_microseconds: int
    cost: int


def lines(
    book: Book, account: str | None, *, start: str | None = None, end: str | None = None, group_by: GroupBy = "day"
) -> list[UsageLine]:
    """From the day `start` to the day `end`, both included (ISO 8601, UTC); without them, all there is."""
    first, last = day_of("from", start), day_of("to", end)
    table = usage_days
    column = account_table.c.name if group_by == "account" else table.c[group_by]
    sums = [func.sum(table.c[name]).label(name) for name in _SUMS]
    found = select(column.label("group"), *sums).group_by(column).order_by(column)
    if group_by == "account":
        found = found.join_from(table, account_table, table.c.account == account_table.c.id)
    if first is not None:
        found = found.where(table.c.day >= first)
    if last is not None:
        found = found.where(table.c.day <= last)
    with book.reading() as connection:
        if account is not None:
            found = found.where(table.c.account == accounts.find(connection, account))
        rows = [row_of(row) for row in connection.execute(found)]
    return [UsageLine(_group(row.pop("group"), group_by), **{name: int(row[name]) for name in _SUMS}) for row in rows]


def day_of(name: str, text: str | None) -> int | None:
    """Days since 1970 of an ISO 8601 date. Raises BadRequest."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError as error:
        raise BadRequest(f"'{name}' is a day such as 2026-11-21, not {text[:40]!r}", param=f"/{name}") from error


def today(now: float) -> int:
    """Days since 1970, in UTC."""
    return datetime.fromtimestamp(now, UTC).date().toordinal() - _EPOCH


def _group(value: object, group_by: GroupBy) -> str:
    return date.fromordinal(int(str(value)) + _EPOCH).isoformat() if group_by == "day" else str(value)
