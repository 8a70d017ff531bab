# SPDX-License-Identifier: GPL-3.0-or-later
"""Vouchers: a code that becomes a grant, once. The code is shown once and kept as its SHA-256."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from llama_orch.ledger import granting
from llama_orch.ledger.books import accounts, grants
from llama_orch.ledger.books.book import Book, conflict, identity, row_of, unknown
from llama_orch.ledger.books.words import amount_of, note_text
from llama_orch.ledger.schema import vouchers
from llama_orch_utils.errors import BadRequest, RequestError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""31 letters that nobody mixes up; 20 of them are 99 bits."""
_GROUPS, _GROUP = 4, 5
_DAY = 86_400
_MOST_DAYS = 36_525
_COLUMNS = tuple(column for column in vouchers.c if column.name != "digest")


@dataclass(frozen=True, slots=True)
class Voucher:
    """`amount` micro-euros for whoever redeems it before `expires_at`; the grant lives `days` (None: twelve months)."""

    id: str
    amount: int
    days: int | None
    created_at: float
    expires_at: float | None
    redeemed_by: str | None
    redeemed_at: float | None
    grant_id: str | None
    note: str
    actor: str


def add(
    book: Book, amount: int, *, days: int | None = None, valid_days: int | None = None, note: str = ""
) -> tuple[Voucher, str]:
    """A new voucher and its code, which nobody can show again. Raises BadRequest."""
    for name, value in (("days", days), ("valid_days", valid_days)):
        if value is not None and not 1 <= value <= _MOST_DAYS:
            raise BadRequest(f"{name} is from 1 to {_MOST_DAYS}", param=f"/{name}")
    code = "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    now = book.clock()
    values = {
        "id": identity("v"),
        "digest": _digest(code),
        "amount": amount_of("the amount", amount),
        "days": days,
        "created_at": now,
        "expires_at": None if valid_days is None else now + valid_days * _DAY,
        "note": note_text(note),
        "actor": book.actor,
    }
    with book.writing() as connection:
        connection.execute(insert(vouchers).values(**values))
        return _one(connection, str(values["id"])), code


def listing(book: Book) -> list[Voucher]:
    """All of them, the newest first."""
    with book.reading() as connection:
        found = select(*_COLUMNS).order_by(vouchers.c.created_at.desc(), vouchers.c.id)
        return [Voucher(**row_of(row)) for row in connection.execute(found)]


def revoke(book: Book, identifier: str) -> Voucher:
    """Makes a voucher worthless from now on. Raises a 404, 409 for one that was redeemed."""
    with book.writing() as connection:
        held = _one(connection, identifier)
        if held.redeemed_at is not None:
            raise conflict(f"voucher {identifier} was redeemed", "voucher_redeemed", "orch tap voucher ls")
        connection.execute(update(vouchers).where(vouchers.c.id == identifier).values(expires_at=book.clock()))
        return _one(connection, identifier)


def redeem(book: Book, code: str, account: str) -> grants.Grant:
    """The grant of a code, for `account` (id or name). The same account again gets the same grant.

    Raises a 404 for a code that never was or is no longer, 409 for one that somebody else redeemed.
    """
    now = book.clock()
    with book.writing() as connection:
        owner = accounts.find(connection, account)
        held = connection.execute(select(*_COLUMNS).where(vouchers.c.digest == _digest(code)).with_for_update()).first()
        if held is None or (held.redeemed_at is None and held.expires_at is not None and held.expires_at <= now):
            raise RequestError("there is no such voucher, or it has expired", code="unknown_voucher", status=404)
        if held.redeemed_by not in {None, owner}:
            raise conflict("the voucher was redeemed", "voucher_redeemed")
        state = granting.give(
            connection,
            granting.Gift(
                account=owner, amount=held.amount, kind="voucher", id=f"voucher:{held.id}", days=held.days,
                reference=held.id, reason=held.note, actor=book.actor,
            ),
            now=now,
        )  # fmt: skip
        connection.execute(
            update(vouchers)
            .where(vouchers.c.id == held.id, vouchers.c.redeemed_at.is_(None))
            .values(redeemed_by=owner, redeemed_at=now, grant_id=state.id)
        )
        return grants.one(connection, state.id)


def _one(connection: Connection, identifier: str) -> Voucher:
    row = connection.execute(select(*_COLUMNS).where(vouchers.c.id == identifier)).first()
    if row is None:
        raise unknown("voucher", identifier, "orch tap voucher ls")
    return Voucher(**row_of(row))


def _digest(code: str) -> bytes:
    """Of the code as it is meant: whatever its capitals, blanks and dashes."""
    return hashlib.sha256(re.sub(r"[\s-]", "", code).upper().encode("utf-8", "replace")).digest()
