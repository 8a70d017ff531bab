# SPDX-License-Identifier: GPL-3.0-or-later
"""Fees: what is charged without a request, such as a Private Tap's month."""

from __future__ import annotations

import time

from sqlalchemy import Connection, insert

from llama_orch.ledger.calendar import day_of
from llama_orch.ledger.drawdown import balance_of
from llama_orch.ledger.posting import check_amount, count, draw_from, first_time, lock, open_grants, transfer
from llama_orch.ledger.schema import reservations, usage


def charge(
    connection: Connection,
    account: str,
    amount: int,
    *,
    id: str,  # noqa: A002 - the transfer's
    reason: str,
    scope: str = "",
    now: float | None = None,
) -> int:
    """A fee that is no request's (`reason` names it in the usage, such as `fee:month`): once per id, or nothing.

    Returns the balance after it. Raises InsufficientCredits when the balance does not cover it.
    """
    at = time.time() if now is None else now
    check_amount(amount)
    lock(connection, account)
    if first_time(connection, account, id, "fee", amount, at):
        number = _next_reservation(connection)
        for grant, part in draw_from(connection, account, amount, at, scope=scope):
            book = f"grant:{grant}"
            transfer(connection, at, "reserve", account, (book, "reserved"), part, (reason, ""), reservation=number)
        transfer(connection, at, "settle", account, ("reserved", "revenue"), amount, (reason, ""), reservation=number)
        _record_fee(connection, account, number, amount, reason, id, at)
    return balance_of(open_grants(connection, account), at)


def _next_reservation(connection: Connection) -> int:
    """A number of the same series that requests use: made by a row that goes again."""
    values = {"request_id": "", "account": "", "key": "", "model": "", "price": 0, "kind": "fee", "prompt_tokens": 0}
    row = insert(reservations).values(**values, max_tokens=0, amount=0, parts="[]", created_at=0, lease_until=0)
    number: int = connection.execute(row.returning(reservations.c.id)).scalar_one()
    connection.execute(reservations.delete().where(reservations.c.id == number))
    return number


def _record_fee(
    connection: Connection, account: str, number: int, amount: int, reason: str, name: str, at: float
) -> None:
    connection.execute(
        insert(usage).values(
            reservation=number, request_id=name, account=account, key="", model=reason, price=0, kind="fee",
            ending="settled", outcome="fee", created_at=at, settled_at=at, amount=amount, cost=amount, prompt_tokens=0,
            cached_tokens=0, output_tokens=0, embedding_tokens=0, gpu_microseconds=0, partial=0,
        )
    )  # fmt: skip
    count(connection, account, day_of(at), "", reason, 1, amount)
