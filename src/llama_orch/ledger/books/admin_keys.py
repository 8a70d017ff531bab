# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of the admin API: they open everything but a model."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, or_, select, update

from llama_orch.ledger.books import token
from llama_orch.ledger.books.book import Book, row_of, unknown
from llama_orch.ledger.books.words import note_text
from llama_orch.ledger.schema import admin_keys

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COLUMNS = tuple(column for column in admin_keys.c if column.name != "digest")
_NOBODY = bytes(32)


@dataclass(frozen=True, slots=True)
class AdminKey:
    """One key of an operator."""

    id: str
    note: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None


def add(book: Book, note: str = "", expires_at: float | None = None) -> tuple[AdminKey, str]:
    """A new key and its text, which nobody can show again."""
    issued = token.issue(token.ADMIN)
    values = {"note": note_text(note), "created_at": book.clock(), "expires_at": expires_at}
    with book.writing() as connection:
        connection.execute(insert(admin_keys).values(id=issued.id, digest=issued.digest, **values))
        return _one(connection, issued.id), issued.text


def listing(book: Book) -> list[AdminKey]:
    """All of them, the oldest first."""
    with book.reading() as connection:
        found = select(*_COLUMNS).order_by(admin_keys.c.created_at, admin_keys.c.id)
        return [AdminKey(**row_of(row)) for row in connection.execute(found)]


def revoke(book: Book, identifier: str) -> AdminKey:
    """Ends a key at once. Raises a 404."""
    with book.writing() as connection:
        _one(connection, identifier)
        open_one = admin_keys.c.revoked_at.is_(None)
        connection.execute(
            update(admin_keys).where(admin_keys.c.id == identifier, open_one).values(revoked_at=book.clock())
        )
        return _one(connection, identifier)


def holder(book: Book, text: bytes) -> str | None:
    """The id of the key that `text` is; None for a wrong, a revoked and an expired one, each as slow as the other."""
    given = token.split(text)
    identifier, digest = given if given is not None else ("", _NOBODY)
    now = book.clock()
    with book.reading() as connection:
        row = connection.execute(
            select(admin_keys.c.digest).where(
                admin_keys.c.id == identifier,
                admin_keys.c.revoked_at.is_(None),
                or_(admin_keys.c.expires_at.is_(None), admin_keys.c.expires_at > now),
            )
        ).first()
    held = bytes(row[0]) if row is not None else _NOBODY
    return identifier if hmac.compare_digest(held, digest) and row is not None else None


def _one(connection: Connection, identifier: str) -> AdminKey:
    row = connection.execute(select(*_COLUMNS).where(admin_keys.c.id == identifier)).first()
    if row is None:
        raise unknown("admin key", identifier, "orch tap key ls --admin")
    return AdminKey(**row_of(row))
