# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worth telling: credits that run low, grants that will expire, fees that could not be charged."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from llama_orch.ledger import granting
from llama_orch.ledger.books import outbox
from llama_orch.ledger.books.book import Book
from llama_orch.ledger.books.view import moment
from llama_orch.ledger.schema import accounts, grants, payments
from llama_orch_utils.errors import InsufficientCredits

if TYPE_CHECKING:
    from sqlalchemy import Connection

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked for: `balance` thresholds in micro-euros, `expiry_days` before a grant ends; `url` is told."""

    balance: tuple[int, ...]
    expiry_days: tuple[int, ...]
    url: str


def scan(book: Book, watch: Watch) -> int:
    """Writes down what has become true since the last time; how many messages that makes.

    Once per threshold and grant: an account that is topped up and runs low again is told of again.
    """
    now = book.clock()
    with book.writing() as connection:
        return _low(connection, watch, now) + _ending(connection, watch, now)


def month_fee(
    book: Book, amount: int, url: str | None, unpaid: set[str] | None = None, *, grace_days: float = 7
) -> int:
    """Charges this month's fee to every account that has not paid it; how many fees were paid now.

    An account whose balance does not cover it is tried again at the next call, put into `unpaid`, and the operator is
    told by the webhook. `grace_days` after it was first found so, the account pauses (the ledger admits no request)
    until it has paid that month's fee and this month's; the months between, in which it was paused, cost nothing.
    """
    now = book.clock()
    with book.reading() as connection:
        rows = connection.execute(select(accounts.c.id, accounts.c.fee_since).where(accounts.c.created_at <= now))
        owing = {str(account): list(dict.fromkeys((_month(since or now), _month(now)))) for account, since in rows}
        paid = {month: _paid(connection, month) for month in {each for months in owing.values() for each in months}}
    charged = 0
    for account, months in owing.items():
        for month in months:
            if account in paid[month]:
                continue
            if not _charged(book, account, month, amount, url, grace_days):
                if unpaid is not None:
                    unpaid.add(account)
                break
            charged += 1
    return charged


def no_fee(book: Book) -> None:
    """There is no month fee: nobody owes one, and nobody pauses for one."""
    with book.reading() as connection:
        owing = connection.execute(select(accounts.c.id).where(accounts.c.fee_since.is_not(None))).first()
    if owing is not None:
        with book.writing() as connection:
            connection.execute(update(accounts).values(fee_since=None, fee_stops_at=None))


def _charged(book: Book, account: str, month: str, amount: int, url: str | None, grace_days: float) -> bool:
    """Whether the account has paid that month's fee now; what it owes is written down where it has not."""
    now = book.clock()
    name = f"fee:{account}:{month}"
    try:
        with book.writing() as connection:
            granting.charge(connection, account, amount, id=name, reason="fee:month", now=now)
            if month == _month(now):  # the last one that it owes
                _owes(connection, account, None, None)
    except InsufficientCredits as error:
        with book.writing() as connection:
            stops = _stops_at(connection, account, now, grace_days)
            data = {"account": account, "month": month, "fee": amount, "balance": error.balance, "pauses_at": stops}
            if url is not None:
                outbox.put(connection, "fee.unpaid", account, name, url, data, now)
            if url is not None and stops <= now:
                outbox.put(connection, "fee.paused", account, f"paused:{name}", url, data, now)
        return False
    return True


def _stops_at(connection: Connection, account: str, now: float, grace_days: float) -> float:
    """When the account pauses: told once, and kept."""
    row = connection.execute(select(accounts.c.fee_stops_at).where(accounts.c.id == account)).scalar_one()
    if row is not None:
        return float(row)
    stops = now + grace_days * _DAY
    _owes(connection, account, now, stops)
    return stops


def _owes(connection: Connection, account: str, since: float | None, stops: float | None) -> None:
    changed = update(accounts).where(accounts.c.id == account).values(fee_since=since, fee_stops_at=stops)
    connection.execute(changed)


def _month(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m")


def _paid(connection: Connection, month: str) -> set[str | None]:
    """The accounts that paid the fee of `month`."""
    paid = (payments.c.provider == "ledger", payments.c.kind == "fee", payments.c.event_id.like(f"fee:%:{month}"))
    return set(connection.execute(select(payments.c.account).where(*paid)).scalars())


def _low(connection: Connection, watch: Watch, now: float) -> int:
    """Balances below a threshold, of accounts that were ever above it."""
    newest = (
        select(grants.c.account, func.max(grants.c.granted_at).label("at"))
        .where(grants.c.kind != "adjustment")
        .group_by(grants.c.account)
        .subquery()
    )
    rows = connection.execute(
        select(accounts.c.id, accounts.c.name, accounts.c.balance, accounts.c.warn_at, grants.c.id, grants.c.amount)
        .join_from(accounts, newest, newest.c.account == accounts.c.id)
        .join(grants, (grants.c.account == accounts.c.id) & (grants.c.granted_at == newest.c.at))
        .where(grants.c.kind != "adjustment")
        .order_by(accounts.c.id, grants.c.id)
    )
    made = 0
    for account, name, balance, own, grant, amount in rows:
        thresholds = [*(json.loads(own) or watch.balance), 0]
        passed = [each for each in thresholds if balance <= each < amount]
        if passed:
            lowest = min(passed)
            kind = "credits.exhausted" if not lowest else "credits.low"
            data = {"account": account, "name": name, "balance": balance, "threshold": lowest}
            made += outbox.put(connection, kind, account, f"low:{grant}:{lowest}", watch.url, data, now)
    return made


def _ending(connection: Connection, watch: Watch, now: float) -> int:
    """Grants that end within one of the days that are watched."""
    if not watch.expiry_days:
        return 0
    rows = connection.execute(
        select(grants.c.id, grants.c.account, accounts.c.name, grants.c.remaining, grants.c.expires_at)
        .join_from(grants, accounts, grants.c.account == accounts.c.id)
        .where(
            grants.c.expired_at.is_(None),
            grants.c.remaining > 0,
            grants.c.expires_at > now,
            grants.c.expires_at <= now + max(watch.expiry_days) * _DAY,
        )
    )
    made = 0
    for grant, account, name, remaining, expires_at in rows:
        days = min(each for each in watch.expiry_days if expires_at <= now + each * _DAY)
        data = {
            "account": account, "name": name, "grant": grant, "remaining": remaining, "expires_at": moment(expires_at)
        }  # fmt: skip
        made += outbox.put(connection, "grant.expiring", account, f"ending:{grant}:{days}", watch.url, data, now)
    return made
