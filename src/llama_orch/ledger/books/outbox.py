# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator is told by webhook: written down once, sent until it was taken.

A row is claimed by moving its next attempt into the future, so that of many processes one sends it; whoever dies with
it leaves it to be claimed again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from llama_orch.ledger.books.book import Book, row_of
from llama_orch.ledger.schema import outbox

if TYPE_CHECKING:
    from sqlalchemy import Connection

MOST_ATTEMPTS = 12
"""The last of them about a day after the first."""
_CLAIM_SECONDS = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 10.0, 6 * 3600.0
_LONGEST_ERROR = 300
_COLUMNS = tuple(
    outbox.c[name] for name in ("id", "kind", "account", "url", "body", "created_at", "attempts", "sent_at", "error")
)


@dataclass(frozen=True, slots=True)
class Notice:
    """One message: its JSON `body` goes to `url`. `attempts` counts this one too."""

    id: int
    kind: str
    account: str | None
    url: str
    body: str
    created_at: float
    attempts: int
    sent_at: float | None
    error: str


def put(
    connection: Connection,
    kind: str,
    account: str | None,
    dedupe: str,
    url: str,
    data: Mapping[str, object],
    now: float,
) -> bool:
    """Writes a message down, unless one with the same `dedupe` was; whether it is new."""
    insert = insert_postgresql if connection.dialect.name == "postgresql" else insert_sqlite
    body = json.dumps({"type": kind, "id": dedupe, "created": int(now), "data": data}, ensure_ascii=False)
    made = connection.execute(
        insert(outbox)
        .values(kind=kind, account=account, dedupe=dedupe, url=url, body=body, created_at=now, next_at=now)
        .on_conflict_do_nothing(index_elements=["dedupe"])
        .returning(outbox.c.id)
    )
    return made.first() is not None


def claim(book: Book, most: int = 20) -> list[Notice]:
    """Messages whose time has come, for the caller alone during the next minute."""
    now = book.clock()
    due = (outbox.c.sent_at.is_(None), outbox.c.attempts < MOST_ATTEMPTS, outbox.c.next_at <= now)
    with book.reading() as connection:
        if connection.execute(select(outbox.c.id).where(*due).limit(1)).first() is None:
            return []
    with book.writing() as connection:
        found = select(outbox.c.id).where(*due).order_by(outbox.c.next_at).limit(most)
        numbers = list(connection.execute(found.with_for_update(skip_locked=True)).scalars())
        mine = outbox.c.id.in_(numbers)
        connection.execute(
            update(outbox).where(mine).values(next_at=now + _CLAIM_SECONDS, attempts=outbox.c.attempts + 1)
        )
        return [
            Notice(**row_of(row)) for row in connection.execute(select(*_COLUMNS).where(mine).order_by(outbox.c.id))
        ]


def sent(book: Book, notice: Notice) -> None:
    """It was taken."""
    with book.writing() as connection:
        connection.execute(update(outbox).where(outbox.c.id == notice.id).values(sent_at=book.clock(), error=""))


def failed(book: Book, notice: Notice, why: str) -> None:
    """It was not: the next attempt comes later each time."""
    wait = min(_FIRST_WAIT * 4 ** (notice.attempts - 1), _LONGEST_WAIT)
    with book.writing() as connection:
        connection.execute(
            update(outbox)
            .where(outbox.c.id == notice.id)
            .values(next_at=book.clock() + wait, error=why[:_LONGEST_ERROR])
        )


def listing(book: Book, most: int = 200) -> list[Notice]:
    """The last messages, the newest first."""
    with book.reading() as connection:
        rows = connection.execute(select(*_COLUMNS).order_by(outbox.c.id.desc()).limit(most))
        return [Notice(**row_of(row)) for row in rows]
