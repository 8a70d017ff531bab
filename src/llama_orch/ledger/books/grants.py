# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants and corrections: the operator's words for what `ledger.granting` moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from llama_orch.ledger import granting
from llama_orch.ledger.books import accounts
from llama_orch.ledger.books.book import Book, identity, row_of
from llama_orch.ledger.books.words import amount_of, chosen_id, note_text, reason_text
from llama_orch.ledger.schema import grants, usage
from llama_orch_utils.errors import BadRequest, RequestError

if TYPE_CHECKING:
    from sqlalchemy import Connection

KINDS = ("gift", "purchase")
_MOST_DAYS = 36_525
_COLUMNS = tuple(
    grants.c[name]
    for name in (
        "id", "account", "kind", "amount", "remaining", "priority", "granted_at", "expires_at", "expired_at", "scope",
        "reference", "reason", "actor",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grant:
    """One grant: micro-euros given, and what is left of them. `scope` "" pays for everything."""

    id: str
    account: str
    kind: str
    amount: int
    remaining: int
    priority: int
    granted_at: float
    expires_at: float | None
    expired_at: float | None
    scope: str
    reference: str
    reason: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """What is granted. Without `days` it lives twelve months; the lower `priority` is drawn first."""

    amount: int
    days: int | None = None
    id: str | None = None
    kind: str = "gift"
    priority: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """What a correction did: `amount` micro-euros more (or less), and the balance after it."""

    id: str
    account: str
    amount: int
    balance: int


def add(book: Book, account: str, gift: Gift) -> Grant:
    """Credits for `account` (id or name), once per id. Raises a 404, BadRequest, 409 for the id of another grant."""
    _check(gift)
    with book.writing() as connection:
        state = granting.give(
            connection,
            granting.Gift(
                account=accounts.find(connection, account),
                amount=gift.amount,
                kind=gift.kind,
                id=chosen_id(gift.id),
                days=gift.days,
                priority=gift.priority,
                reason=note_text(gift.reason),
                actor=book.actor,
            ),
            now=book.clock(),
        )
        return one(connection, state.id)


def listing(book: Book, account: str) -> list[Grant]:
    """All grants of an account, the newest first. Raises a 404."""
    with book.reading() as connection:
        owner = accounts.find(connection, account)
        found = select(*_COLUMNS).where(grants.c.account == owner).order_by(grants.c.granted_at.desc(), grants.c.id)
        return [Grant(**row_of(row)) for row in connection.execute(found)]


def adjust(book: Book, account: str, amount: int, *, reason: str, id: str | None = None) -> Correction:  # noqa: A002 - the API's word
    """More (positive) or less (negative) by an entry of its own, never below 0. Raises InsufficientCredits."""
    name = chosen_id(id) or identity("adj")
    amount_of("the amount", abs(amount))
    with book.writing() as connection:
        owner = accounts.find(connection, account)
        balance = granting.adjust(
            connection, owner, amount, id=name, reason=reason_text(reason), actor=book.actor, now=book.clock()
        )
    return Correction(name, owner, amount, balance)


def refund(
    book: Book,
    request: str,
    amount: int | None,
    *,
    reason: str,
    id: str | None = None,  # noqa: A002 - the API's word
) -> Correction:
    """Gives back what a request was charged (all of it, unless `amount`), by opposite entries. Raises a 404."""
    with book.writing() as connection:
        charged = connection.execute(
            select(usage.c.reservation, usage.c.account, usage.c.cost).where(usage.c.request_id == request)
        ).first()
        if charged is None:
            raise RequestError(f"no request '{request[:100]}' was charged", code="unknown_request", status=404)
        name = chosen_id(id) or f"refund:{request}"
        back = charged.cost if amount is None else amount
        if not back:
            raise BadRequest(f"request '{request[:100]}' cost nothing", param="/request")
        balance = granting.correct(
            connection, charged.reservation, back, id=name, reason=reason_text(reason), actor=book.actor,
            now=book.clock(),
        )  # fmt: skip
    return Correction(name, charged.account, back, balance)


def one(connection: Connection, identifier: str) -> Grant:
    """The grant of that id."""
    return Grant(**row_of(connection.execute(select(*_COLUMNS).where(grants.c.id == identifier)).one()))


def _check(gift: Gift) -> None:
    amount_of("the amount", gift.amount)
    if gift.days is not None and not 1 <= gift.days <= _MOST_DAYS:
        raise BadRequest(f"a grant lives from 1 to {_MOST_DAYS} days", param="/days")
    if gift.kind not in KINDS:
        raise BadRequest(f"a grant is one of {', '.join(KINDS)}", param="/kind")
