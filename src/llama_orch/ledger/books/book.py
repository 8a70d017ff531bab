# SPDX-License-Identifier: GPL-3.0-or-later
"""The books of one tap, open: the database, who writes, and what time it is."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from llama_orch.ledger import database
from llama_orch_utils.errors import RequestError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_LETTERS = 14


class Book:
    """What every module of the books takes first.

    `actor` is who is written down for what is done (`cli:NAME`, `admin:KEY`, `stripe`), `clock` gives Unix seconds,
    `tenants` is how many accounts there may be (None: any number). A context manager; any thread may use it.
    """

    def __init__(
        self, engine: Engine, *, actor: str, clock: Callable[[], float] = time.time, tenants: int | None = None
    ) -> None:
        self._engine = engine
        self.actor, self.clock, self.tenants = actor, clock, tenants

    @classmethod
    def open(cls, url: str, *, actor: str, clock: Callable[[], float] = time.time, tenants: int | None = None) -> Book:
        """The books in the database at `url`; connects on first use. Raises ConfigError."""
        return cls(database.open_database(url), actor=actor, clock=clock, tenants=tenants)

    def by(self, actor: str) -> Book:
        """The same books with another actor."""
        return Book(self._engine, actor=actor, clock=self.clock, tenants=self.tenants)

    @contextlib.contextmanager
    def writing(self) -> Generator[Connection]:
        """One transaction, alone. Raises LedgerAway."""
        with database.writing(self._engine) as connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Generator[Connection]:
        """One snapshot. Raises LedgerAway."""
        with database.reading(self._engine) as connection:
            yield connection

    def close(self) -> None:
        """Lets the connections go."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def identity(prefix: str) -> str:
    """A new id: `acc_`, and 70 random bits."""
    return f"{prefix}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_LETTERS))


def unknown(what: str, word: str, hint: str) -> RequestError:
    """The error for something that is not there."""
    return RequestError(
        f"there is no {what} '{word[:100]}'", code=f"unknown_{what.replace(' ', '_')}", status=404, hint=hint
    )


def conflict(message: str, code: str, hint: str | None = None) -> RequestError:
    """The error for what cannot be any more."""
    return RequestError(message, code=code, status=409, hint=hint)


def row_of(row: Any) -> dict[str, Any]:
    """A row by the names of its columns."""
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for it
