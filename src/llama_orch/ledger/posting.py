# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the journal made by hand: what grants, adjustments, fees and corrections have in common."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert_postgresql
from sqlalchemy.dialects.sqlite import insert as upsert_sqlite

from llama_orch.ledger.database import lock_accounts
from llama_orch.ledger.drawdown import OpenGrant, Part, balance_of, draw, order_of
from llama_orch.ledger.schema import accounts, grants, journal, payments, usage_days
from llama_orch_utils.errors import BadRequest, InsufficientCredits, RequestError

MOST = 10**15
"""The largest amount of one transfer: a thousand million euros."""


def check_amount(amount: int) -> None:
    """Raises BadRequest unless one transfer may move so much."""
    if not 0 < amount <= MOST:
        raise BadRequest(f"an amount is from 1 to {MOST} micro-euros", param="/amount")


def lock(connection: Connection, account: str) -> None:
    """Locks the account. Raises BadRequest when there is none."""
    lock_accounts(connection, account)
    if connection.execute(select(accounts.c.id).where(accounts.c.id == account)).one_or_none() is None:
        raise BadRequest(f"there is no account {account!r}", param="/account", hint="orch tap account ls")


def first_time(connection: Connection, account: str, name: str, kind: str, amount: int, at: float) -> bool:
    """Notes that `name` happened; False when it had."""
    row = connection.execute(
        select(payments).where(payments.c.provider == "ledger", payments.c.event_id == name)
    ).one_or_none()
    if row is None:
        values = {"provider": "ledger", "event_id": name, "account": account, "kind": kind, "amount": amount}
        connection.execute(insert(payments).values(**values, status="done", received_at=at))
        return True
    if (row.account, row.kind, row.amount) != (account, kind, amount):
        raise RequestError(f"the id {name!r} belongs to another {row.kind}", param="/id", code="id_in_use", status=409)
    return False


def open_grants(connection: Connection, account: str) -> list[OpenGrant]:
    """The account's grants that are not closed, in the order in which they are drawn."""
    columns = (
        grants.c.id,
        grants.c.remaining,
        grants.c.priority,
        grants.c.granted_at,
        grants.c.expires_at,
        grants.c.scope,
    )
    rows = connection.execute(select(*columns).where(grants.c.account == account, grants.c.expired_at.is_(None)))
    return sorted((OpenGrant(*row) for row in rows), key=order_of)


def draw_from(connection: Connection, account: str, amount: int, at: float, *, scope: str) -> list[Part]:
    """Takes `amount` out of the account's grants. Raises InsufficientCredits."""
    there = open_grants(connection, account)
    balance = balance_of(there, at, scope)
    if balance < amount:
        raise InsufficientCredits(
            f"the balance is {balance} micro-euros, {amount} are needed",
            balance=balance,
            hint=f"orch tap grant {account}",
        )
    parts = draw(there, amount, at, scope)
    for grant, part in parts:
        connection.execute(update(grants).where(grants.c.id == grant).values(remaining=grants.c.remaining - part))
    keep_balance(connection, account, -amount)
    return parts


def keep_balance(connection: Connection, account: str, change: int) -> None:
    """Changes the balance that is kept beside the journal."""
    connection.execute(update(accounts).where(accounts.c.id == account).values(balance=accounts.c.balance + change))


def transfer(
    connection: Connection,
    at: float,
    kind: str,
    account: str,
    books: tuple[str, str],
    amount: int,
    why: tuple[str, str],
    *,
    reservation: int | None = None,
) -> None:
    """One entry from `books[0]` to `books[1]`; `why` is its reason and its actor."""
    connection.execute(
        insert(journal).values(
            at=at, kind=kind, account=account, source=books[0], target=books[1], amount=amount, reservation=reservation,
            reason=why[0], actor=why[1],
        )
    )  # fmt: skip


def count(connection: Connection, account: str, day: int, key: str, model: str, requests: int, cost: int) -> None:
    """Adds a request and its cost to the sums of a day."""
    upsert = upsert_postgresql if connection.dialect.name == "postgresql" else upsert_sqlite
    row = upsert(usage_days).values(
        account=account, day=day, key=key, model=model, requests=requests, cost=cost, prompt_tokens=0, cached_tokens=0,
        output_tokens=0, embedding_tokens=0, gpu_microseconds=0,
    )  # fmt: skip
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["account", "day", "key", "model"],
            set_={"requests": usage_days.c.requests + requests, "cost": usage_days.c.cost + cost},
        )
    )
