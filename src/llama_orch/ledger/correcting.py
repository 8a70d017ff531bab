# SPDX-License-Identifier: GPL-3.0-or-later
"""Corrections: a charge was too high, and a part of it goes back by opposite entries."""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, insert, select, update

from llama_orch.ledger.calendar import day_of, months_later
from llama_orch.ledger.drawdown import Part, balance_of
from llama_orch.ledger.posting import check_amount, count, first_time, keep_balance, lock, open_grants, transfer
from llama_orch.ledger.schema import grants, journal, usage
from llama_orch_utils.errors import BadRequest


def correct(
    connection: Connection,
    reservation: int,
    amount: int,
    *,
    id: str,  # noqa: A002 - the transfer's
    reason: str,
    actor: str,
    now: float | None = None,
) -> int:
    """Gives `amount` of a request's charge back by opposite entries, to the grants that paid it.

    What an expired grant paid comes back as a new grant of twelve months. Returns the balance after it. Raises
    BadRequest for an unknown request, without a reason, or for more than it was charged.
    """
    at = time.time() if now is None else now
    if not reason or not actor:
        raise BadRequest("a correction needs a reason and an actor", param="/reason")
    check_amount(amount)
    charged = connection.execute(select(usage).where(usage.c.reservation == reservation)).one_or_none()
    if charged is None:
        raise BadRequest(f"no request was charged as {reservation}", param="/reservation")
    account: str = charged.account
    lock(connection, account)
    if first_time(connection, account, id, "correction", amount, at):
        left = amount
        for grant, paid in _paid_by(connection, reservation):
            part = min(paid, left)
            left -= part
            if part:
                _give_back(connection, account, grant, part, reservation, (reason, actor), id, at)
        if left:
            raise BadRequest(
                f"the request cost {charged.cost} micro-euros, and {amount - left} of them are still to be given back",
                param="/amount",
            )
        count(connection, account, day_of(charged.settled_at), charged.key, charged.model, 0, -amount)
    return balance_of(open_grants(connection, account), at)


def _paid_by(connection: Connection, reservation: int) -> list[Part]:
    """What each grant paid of a request and has not got back, the last taken first."""
    rows = connection.execute(
        select(journal.c.source, journal.c.target, journal.c.amount)
        .where(journal.c.reservation == reservation)
        .order_by(journal.c.id)
    )
    paid: dict[str, int] = {}
    given_anew = 0
    for source, target, amount in rows:
        if source.startswith("grant:") and target == "reserved":
            paid[source[6:]] = paid.get(source[6:], 0) + amount
        elif target.startswith("grant:"):
            if target[6:] in paid:
                paid[target[6:]] -= amount
            else:
                given_anew += amount
    return _less(list(reversed(paid.items())), given_anew)


def _less(parts: list[Part], amount: int) -> list[Part]:
    """`parts` without the first `amount`."""
    left: list[Part] = []
    for grant, part in parts:
        gone = min(part, amount)
        amount -= gone
        left.append((grant, part - gone))
    return left


def _give_back(
    connection: Connection,
    account: str,
    grant: str,
    amount: int,
    reservation: int,
    why: tuple[str, str],
    name: str,
    at: float,
) -> None:
    """From the revenue back to the grant that paid, or to a new one where that has expired."""
    alive = connection.execute(
        select(func.count())
        .select_from(grants)
        .where(grants.c.id == grant, grants.c.expired_at.is_(None))
        .where(grants.c.expires_at.is_(None) | (grants.c.expires_at > at))
    ).scalar_one()
    if alive:
        connection.execute(update(grants).where(grants.c.id == grant).values(remaining=grants.c.remaining + amount))
    else:
        grant = f"{name}:{grant}"
        connection.execute(
            insert(grants).values(
                id=grant, account=account, kind="correction", amount=amount, remaining=amount, granted_at=at,
                expires_at=months_later(at), reason=why[0], actor=why[1],
            )
        )  # fmt: skip
    keep_balance(connection, account, amount)
    transfer(connection, at, "adjust", account, ("revenue", f"grant:{grant}"), amount, why, reservation=reservation)
