# SPDX-License-Identifier: GPL-3.0-or-later
"""Payments as a provider reports them: each event once, each purchase once, in whatever order they come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Connection, func, insert, or_, select, text, update
from sqlalchemy.exc import IntegrityError

from llama_orch.ledger import granting
from llama_orch.ledger.books import accounts, packs
from llama_orch.ledger.books.book import Book, row_of
from llama_orch.ledger.database import lock_accounts
from llama_orch.ledger.schema import grants, payments
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from typing import Any

Status = Literal["granted", "again", "waiting", "failed", "refunded", "unmatched", "ignored"]
_COLUMNS = tuple(payments.c)
_OWN = "ledger"
"""The provider under which the ledger notes its own events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """A purchase that was paid: `event` names it, `object` is what its refunds name too (a payment intent).

    `paid` is micro-euros without tax; `pack` is a pack's name, or None: as much credit as was paid.
    """

    provider: str
    event: str
    object: str
    kind: str
    account: str | None
    pack: str | None
    paid: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """`share` (of a million) of the payment `object` has gone back in all, this event included."""

    provider: str
    event: str
    object: str
    kind: str
    share: int


@dataclass(frozen=True, slots=True)
class Payment:
    """One event as it was kept. `status` says what came of it, `note` why."""

    provider: str
    event_id: str
    object_id: str
    account: str | None
    pack: str | None
    amount: int
    currency: str
    kind: str
    status: str
    received_at: float
    grant_id: str | None
    note: str


def purchase(book: Book, bought: Purchase) -> Payment:
    """Grants what was bought, once per event and once per object; then what was refunded already goes back."""
    with book.writing() as connection:
        _alone(connection, bought.provider, bought.object)
        account = _owner(connection, bought.account)
        if account is not None:
            lock_accounts(connection, account)
        if (before := _first(connection, bought.provider, bought.event)) is not None:
            return before
        kept = _kept(book, bought) | {"account": account, "pack": bought.pack, "currency": bought.currency.upper()}
        if _granted(connection, bought.provider, bought.object) is not None:
            return _keep(connection, kept | {"status": "again", "note": "the purchase was granted before"})
        status, note, grant = _delivered(connection, book, account, bought)
        payment = _keep(connection, kept | {"status": status, "note": note, "grant_id": grant, "amount": bought.paid})
        if grant is not None:
            _catch_up(connection, book, bought.provider, bought.object)
        return payment


def refund(book: Book, back: Refund) -> Payment:
    """Takes back what a refunded purchase gave, as far as it is there; waits if the purchase was not heard of yet."""
    with book.writing() as connection:
        _alone(connection, back.provider, back.object)
        sold = _granted(connection, back.provider, back.object)
        if sold is not None:
            lock_accounts(connection, str(sold.account))
        if (before := _first(connection, back.provider, back.event)) is not None:
            return before
        kept = _kept(book, back) | {"amount": back.share}
        if sold is None:
            return _keep(connection, kept | {"status": "waiting", "note": "the purchase is not here yet"})
        taken = _take_back(connection, book, sold, back.share, back.event)
        return _keep(connection, kept | {"account": sold.account, "status": "refunded", "note": taken})


def note(book: Book, provider: str, event: str, kind: str, status: Status, words: str = "", about: str = "") -> Payment:
    """Keeps an event that moves no money, once."""
    with book.writing() as connection:
        if (before := _first(connection, provider, event)) is not None:
            return before
        kept = {"provider": provider, "event_id": event, "object_id": about, "kind": kind, "received_at": book.clock()}
        return _keep(connection, kept | {"status": status, "note": words})


def listing(book: Book, *, most: int = 1000) -> list[Payment]:
    """The last events, the newest first."""
    with book.reading() as connection:
        found = select(*_COLUMNS).where(payments.c.provider != _OWN)
        rows = connection.execute(found.order_by(payments.c.received_at.desc(), payments.c.event_id).limit(most))
        return [Payment(**row_of(row)) for row in rows]


def _delivered(
    connection: Connection, book: Book, account: str | None, bought: Purchase
) -> tuple[Status, str, str | None]:
    """The grant of a purchase; whatever keeps it from being one is written down, for the operator to mend by hand."""
    if account is None:
        return "unmatched", f"no account '{(bought.account or '')[:100]}'", None
    if bought.currency.upper() != "EUR":
        return "unmatched", f"paid in {bought.currency[:10]}, not in EUR", None
    if bought.paid <= 0:
        return "unmatched", "nothing was paid", None
    reason = f"{bought.provider} {bought.object}"
    try:
        if bought.pack is None:
            gift = granting.Gift(
                account=account, amount=bought.paid, kind="purchase", id=bought.event, reason=reason, actor=book.actor
            )
            return "granted", "", granting.give(connection, gift, now=book.clock()).id
        pack = packs.known(connection, bought.pack)
        if bought.paid < pack.price:
            return "unmatched", f"{bought.paid} micro-euros were paid, {pack.name} costs {pack.price}", None
        return "granted", "", packs.deliver(connection, book, account, pack, id=bought.event, reason=reason).id
    except OrchError as error:
        return "unmatched", error.message, None


def _catch_up(connection: Connection, book: Book, provider: str, about: str) -> None:
    """Applies refunds that came before their purchase, in the order of their shares."""
    sold = _granted(connection, provider, about)
    assert sold is not None, "it was granted in this transaction"
    waiting = select(*_COLUMNS).where(
        payments.c.provider == provider, payments.c.object_id == about, payments.c.status == "waiting"
    )
    for row in connection.execute(waiting.order_by(payments.c.amount)).all():
        taken = _take_back(connection, book, sold, int(row.amount), str(row.event_id))
        connection.execute(
            update(payments)
            .where(payments.c.provider == provider, payments.c.event_id == row.event_id)
            .values(status="refunded", note=taken, account=sold.account)
        )


def _take_back(connection: Connection, book: Book, sold: Any, share: int, event: str) -> str:
    """Takes the part of a purchase that `share` adds to what was refunded before; says how much, and how much short."""
    refunded = connection.execute(
        select(payments.c.amount).where(
            payments.c.provider == sold.provider, payments.c.object_id == sold.object_id,
            payments.c.status == "refunded",
        )
    ).scalars()  # fmt: skip
    before = max((int(each) for each in refunded), default=0)
    given = connection.execute(select(grants.c.amount).where(grants.c.id == sold.grant_id)).scalar_one()
    due = given * max(share - before, 0) // 1_000_000
    taken = min(due, _there(connection, sold.account, book.clock()))
    if taken:
        granting.adjust(
            connection, sold.account, -taken, id=event, reason=f"refund of {sold.object_id}", actor=book.actor,
            now=book.clock(),
        )  # fmt: skip
    return f"{taken} of {due} micro-euros taken back"


def _there(connection: Connection, account: str, now: float) -> int:
    """What an adjustment can take: the open grants that pay for everything."""
    open_ones = (
        grants.c.account == account,
        grants.c.expired_at.is_(None),
        or_(grants.c.expires_at.is_(None), grants.c.expires_at > now),
        grants.c.scope == "",
    )
    return int(
        connection.execute(select(func.coalesce(func.sum(grants.c.remaining), 0)).where(*open_ones)).scalar_one()
    )


def _alone(connection: Connection, provider: str, about: str) -> None:
    """Makes other events about the same purchase wait: a refund must not miss the purchase that it is about."""
    if connection.dialect.name == "postgresql":  # SQLite: the transaction itself is the lock
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:about, 0))"), {"about": f"{provider}:{about}"}
        )


def _owner(connection: Connection, word: str | None) -> str | None:
    try:
        return accounts.find(connection, word) if word else None
    except OrchError:
        return None


def _kept(book: Book, event: Purchase | Refund) -> dict[str, Any]:
    return {
        "provider": event.provider,
        "event_id": event.event,
        "object_id": event.object,
        "kind": event.kind,
        "received_at": book.clock(),
    }


def _first(connection: Connection, provider: str, event: str) -> Payment | None:
    """The event as it was kept the first time."""
    row = connection.execute(
        select(*_COLUMNS).where(payments.c.provider == provider, payments.c.event_id == event)
    ).first()
    return None if row is None else Payment(**row_of(row))


def _granted(connection: Connection, provider: str, about: str) -> Any:
    """The event that granted the purchase `about`, or None."""
    return connection.execute(
        select(*_COLUMNS).where(
            payments.c.provider == provider, payments.c.object_id == about, payments.c.grant_id.is_not(None)
        )
    ).first()


def _keep(connection: Connection, values: dict[str, Any]) -> Payment:
    try:
        connection.execute(insert(payments).values(**values))
    except IntegrityError as error:
        # Another process keeps the same event now: the provider sends it again, and then it is there.
        raise OrchError("the event is being worked on", code="event_in_progress", status=503) from error
    found = _first(connection, values["provider"], values["event_id"])
    assert found is not None
    return found
