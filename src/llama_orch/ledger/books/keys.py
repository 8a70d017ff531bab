# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of accounts: id and secret, the secret shown once and kept as a digest."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from llama_orch.ledger.books import accounts, limits, token
from llama_orch.ledger.books.book import Book, conflict, row_of, unknown
from llama_orch.ledger.books.limits import Limits
from llama_orch.ledger.schema import keys

if TYPE_CHECKING:
    from sqlalchemy import Connection

_COLUMNS = tuple(column for column in keys.c if column.name != "digest")


@dataclass(frozen=True, slots=True)
class Key:
    """One key and its limits; `secret` only in the answer that made it."""

    id: str
    account: str
    models: tuple[str, ...]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent: int | None
    budget_day: int | None
    budget_month: int | None
    networks: tuple[str, ...]
    note: str
    paused: bool
    rotated_from: str | None


def add(book: Book, account: str, wanted: Limits | None = None) -> tuple[Key, str]:
    """A new key of `account` (id or name) and its text, which nobody can show again. Raises a 404, BadRequest."""
    now = book.clock()
    values = limits.columns(wanted or Limits(), now)
    with book.writing() as connection:
        owner = accounts.find(connection, account)
        return _insert(connection, {"account": owner, "created_at": now, **values})


def listing(book: Book, account: str | None = None) -> list[Key]:
    """The keys of one account, or all; the newest last."""
    with book.reading() as connection:
        found = select(*_COLUMNS).order_by(keys.c.created_at, keys.c.id)
        if account is not None:
            found = found.where(keys.c.account == accounts.find(connection, account))
        return [_key(row_of(row)) for row in connection.execute(found)]


def show(book: Book, identifier: str) -> Key:
    """One key. Raises a 404."""
    with book.reading() as connection:
        return _one(connection, identifier)


def change(book: Book, identifier: str, changes: dict[str, Any]) -> Key:
    """Sets some limits of a key (names of `Limits`); holds from the next request. Raises a 404, BadRequest."""
    with book.writing() as connection:
        held = _one(connection, identifier)
        if held.revoked_at is not None:
            raise conflict(f"key {identifier} is revoked", "key_revoked", f"orch tap key add {held.account}")
        old = Limits(**{name: getattr(held, name) for name in limits.NAMES})
        # An expiry that has passed is no mistake of whoever changes something else.
        now = 0.0 if "expires_at" not in changes else book.clock()
        values = limits.columns(replace(old, **changes), now)
        connection.execute(update(keys).where(keys.c.id == identifier).values(**values))
        return _one(connection, identifier)


def revoke(book: Book, identifier: str) -> Key:
    """Ends a key, at once and for ever. Raises a 404; a second time it stays as it was."""
    with book.writing() as connection:
        _one(connection, identifier)
        connection.execute(
            update(keys).where(keys.c.id == identifier, keys.c.revoked_at.is_(None)).values(revoked_at=book.clock())
        )
        return _one(connection, identifier)


def rotate(book: Book, identifier: str, grace: float = 0.0) -> tuple[Key, str]:
    """A new key with the limits of an old one, which ends in `grace` seconds (0: now). Raises a 404, a 409."""
    now = book.clock()
    with book.writing() as connection:
        old = _one(connection, identifier)
        if old.revoked_at is not None:
            raise conflict(f"key {identifier} is revoked", "key_revoked", f"orch tap key add {old.account}")
        values = limits.columns(Limits(**{name: getattr(old, name) for name in limits.NAMES}), 0.0)
        made = _insert(connection, {"account": old.account, "created_at": now, "rotated_from": old.id, **values})
        ending: dict[str, float] = {"revoked_at": now}
        if grace > 0:
            ending = {"expires_at": min(now + grace, old.expires_at or now + grace)}
        connection.execute(update(keys).where(keys.c.id == identifier).values(**ending))
        return made


def _insert(connection: Connection, values: dict[str, Any]) -> tuple[Key, str]:
    issued = token.issue(token.CLIENT)
    connection.execute(insert(keys).values(id=issued.id, digest=issued.digest, **values))
    return _one(connection, issued.id), issued.text


def _one(connection: Connection, identifier: str) -> Key:
    row = connection.execute(select(*_COLUMNS).where(keys.c.id == identifier)).first()
    if row is None:
        raise unknown("key", identifier, "orch tap key ls")
    return _key(row_of(row))


def _key(row: dict[str, Any]) -> Key:
    lists: dict[str, Any] = {name: tuple(json.loads(row[name])) for name in ("models", "networks")}
    return Key(**{**row, **lists})
