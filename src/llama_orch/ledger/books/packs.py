# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs: what is for sale. Starter, Builder and Pro are there from the start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from llama_orch.ledger import granting
from llama_orch.ledger.books import accounts, grants, prices
from llama_orch.ledger.books.book import Book, identity, row_of, unknown
from llama_orch.ledger.books.words import amount_of, chosen_id, label
from llama_orch.ledger.schema import packs
from llama_orch_utils.errors import BadRequest, RequestError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COLUMNS = tuple(packs.c)
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Pack:
    """`price` micro-euros buy `amount` micro-euros of credit, or `gpu_seconds` at the rate of the day.

    `days` None: twelve months. `scope` "" pays for everything, `gpu:NAME` only for that.
    """

    id: str
    name: str
    amount: int
    price: int
    days: int | None
    gpu_seconds: int | None
    scope: str
    active: bool
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a pack shall be. `amount` None: as much as it costs; with `gpu_hours` it is reckoned when it is sold."""

    name: str
    price: int
    amount: int | None = None
    days: int | None = None
    gpu_hours: int | None = None
    gpu: str = ""


def put(book: Book, offer: Offer) -> Pack:
    """A new pack, or the one of that name changed; what was sold stays as it was. Raises BadRequest."""
    values = _values(offer)
    with book.writing() as connection:
        held = _find(connection, offer.name)
        if held is None:
            values |= {"id": identity("pack"), "created_at": book.clock()}
            connection.execute(insert(packs).values(**values))
        else:
            connection.execute(update(packs).where(packs.c.id == held.id).values(**values))
        return _known(connection, offer.name)


def listing(book: Book, *, all_: bool = False) -> list[Pack]:
    """What is for sale, the cheapest first; with `all_` also what was."""
    with book.reading() as connection:
        found = select(*_COLUMNS).order_by(packs.c.price, packs.c.name)
        rows = connection.execute(found if all_ else found.where(packs.c.active))
        return [Pack(**row_of(row)) for row in rows]


def withdraw(book: Book, name: str) -> Pack:
    """Takes a pack off sale. Raises a 404."""
    with book.writing() as connection:
        held = _known(connection, name)
        connection.execute(update(packs).where(packs.c.id == held.id).values(active=False))
        return _known(connection, name)


def sell(book: Book, account: str, name: str, *, id: str | None = None, reason: str = "") -> grants.Grant:  # noqa: A002 - the API's word
    """The grant of a pack that was paid for by hand. Raises a 404, 409 for a pack that is off sale."""
    with book.writing() as connection:
        owner = accounts.find(connection, account)
        return deliver(connection, book, owner, known(connection, name), id=chosen_id(id), reason=reason)


def deliver(
    connection: Connection,
    book: Book,
    account: str,
    pack: Pack,
    *,
    id: str | None,  # noqa: A002 - as `sell`
    reason: str,
) -> grants.Grant:
    """The grant of `pack`, within a transaction; once per `id`."""
    state = granting.give(
        connection,
        granting.Gift(
            account=account,
            amount=worth(connection, pack, book.clock()),
            kind="purchase",
            id=id,
            days=pack.days,
            scope=pack.scope,
            reference=f"pack:{pack.name}",
            reason=reason,
            actor=book.actor,
        ),
        now=book.clock(),
    )
    return grants.one(connection, state.id)


def known(connection: Connection, name: str) -> Pack:
    """The pack of that name or id that is for sale. Raises a 404, a 409."""
    found = _known(connection, name)
    if not found.active:
        raise RequestError(
            f"the pack {found.name} is off sale", code="pack_withdrawn", status=409, hint="orch tap pack ls"
        )
    return found


def worth(connection: Connection, pack: Pack, now: float) -> int:
    """The micro-euros of credit that a pack gives: GPU-hours at the rate that holds now. Raises BadRequest."""
    if pack.gpu_seconds is None:
        return pack.amount
    held = prices.current(connection, now)
    rate = next((held[each].gpu_second for each in (pack.scope, prices.EVERY) if each in held), 0)
    if not rate:
        raise BadRequest(
            "GPU-hours cannot be reckoned: no price per GPU-second holds",
            hint="orch tap price set '*' --gpu-second 1056",
        )
    return pack.gpu_seconds * rate


def _values(offer: Offer) -> dict[str, object]:
    if offer.gpu_hours is not None and offer.amount is not None:
        raise BadRequest("a pack gives an amount or GPU-hours, not both", param="/gpu_hours")
    if offer.gpu and offer.gpu_hours is None:
        raise BadRequest("a GPU is named for a pack of GPU-hours", param="/gpu")
    for name in ("days", "gpu_hours"):
        value = getattr(offer, name)
        if value is not None and not 1 <= value <= 1_000_000:  # noqa: PLR2004 - a century of hours
            raise BadRequest(f"{name} is from 1 to 1000000", param=f"/{name}")
    return {
        "name": label("a pack", offer.name),
        "price": amount_of("the price", offer.price),
        "amount": 0 if offer.gpu_hours else amount_of("the amount", offer.amount or offer.price),
        "days": offer.days,
        "gpu_seconds": None if offer.gpu_hours is None else offer.gpu_hours * _HOUR,
        "scope": f"gpu:{label('a GPU', offer.gpu)}" if offer.gpu else "",
        "active": True,
    }


def _find(connection: Connection, name: str) -> Pack | None:
    """By id, or by name whatever its capitals."""
    row = connection.execute(
        select(*_COLUMNS).where((packs.c.id == name) | (func.lower(packs.c.name) == name.strip().lower()))
    ).first()
    return None if row is None else Pack(**row_of(row))


def _known(connection: Connection, name: str) -> Pack:
    found = _find(connection, name)
    if found is None:
        raise unknown("pack", name, "orch tap pack ls")
    return found
