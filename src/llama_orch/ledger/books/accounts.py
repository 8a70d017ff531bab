# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts: who pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from llama_orch.ledger.books.book import Book, conflict, identity, row_of, unknown
from llama_orch.ledger.books.words import label, note_text
from llama_orch.ledger.schema import accounts
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COLUMNS = tuple(
    accounts.c[name] for name in ("id", "name", "created_at", "paused", "note", "currency", "balance", "reserved")
)


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `balance` and `reserved` are micro-euros; `paused` by the operator (at 0 it pauses by itself)."""

    id: str
    name: str
    created_at: float
    paused: bool
    note: str
    currency: str
    balance: int
    reserved: int


def add(book: Book, name: str, note: str = "") -> Account:
    """A new account. Raises BadRequest for a name that cannot be, 409 for one that is taken, or a second tenant."""
    row = {
        "id": identity("acc"),
        "name": label("an account", name),
        "created_at": book.clock(),
        "note": note_text(note),
    }
    with book.writing() as connection:
        if book.tenants is not None and _count(connection) >= book.tenants:
            raise conflict(
                "a private tap has one tenant, and this one has it", "one_tenant", "orch tap init DIR --mode public"
            )
        try:
            connection.execute(insert(accounts).values(**row))
        except IntegrityError as error:
            raise conflict(f"there is an account '{name}' already", "account_exists", "orch tap account ls") from error
        return _one(connection, str(row["id"]))


def listing(book: Book) -> list[Account]:
    """All of them, by name."""
    with book.reading() as connection:
        return [Account(**row_of(row)) for row in connection.execute(select(*_COLUMNS).order_by(accounts.c.name))]


def show(book: Book, word: str) -> Account:
    """The account of that id or name. Raises a 404."""
    with book.reading() as connection:
        return _one(connection, find(connection, word))


def pause(book: Book, word: str, *, paused: bool) -> Account:
    """Stops an account's requests, or lets them go on; holds at once in every gateway process."""
    with book.writing() as connection:
        identifier = find(connection, word)
        connection.execute(update(accounts).where(accounts.c.id == identifier).values(paused=paused))
        return _one(connection, identifier)


def find(connection: Connection, word: str) -> str:
    """The id of the account with that id or name (an id counts first). Raises a 404."""
    if not word or "\0" in word:
        raise BadRequest("an account must be named", hint="orch tap account ls")
    found = connection.execute(
        select(accounts.c.id).where(or_(accounts.c.id == word, accounts.c.name == word)).order_by(accounts.c.id != word)
    ).first()
    if found is None:
        raise unknown("account", word, "orch tap account ls")
    return str(found[0])


def _one(connection: Connection, identifier: str) -> Account:
    return Account(**row_of(connection.execute(select(*_COLUMNS).where(accounts.c.id == identifier)).one()))


def _count(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(accounts)).scalar_one()
