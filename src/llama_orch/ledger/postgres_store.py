# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger in PostgreSQL: a batch locks its accounts in order, reads in one round trip, and writes in another."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from llama_orch.ledger.address import Address
from llama_orch.ledger.changes import Row
from llama_orch.ledger.errors import LedgerAway, LedgerDamaged
from llama_orch.ledger.kept import Kept
from llama_orch.ledger.statements import LOCK, NUMBERS_POSTGRES, WRITES
from llama_orch.ledger.store import Sql
from llama_orch_utils.errors import ConfigError

_SETTINGS = {
    "connect_timeout": 2,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 3000,
    "application_name": "llama-orch",
    # A gateway that stops in the middle of a batch must not hold its accounts for the others.
    "options": "-c lock_timeout=1500 -c statement_timeout=10000 -c idle_in_transaction_session_timeout=10000",
}


class PostgresStore:
    """One connection for one thread at a time."""

    kept: Kept | None = None

    def __init__(self, where: Address) -> None:
        try:
            import psycopg
            from psycopg import conninfo
        except ImportError as error:
            raise ConfigError(
                "PostgreSQL's driver is not installed", key="database", hint='pip install "llama-orch[tap,postgres]"'
            ) from error
        self._psycopg = psycopg
        self._shown = where.shown
        with self._errors():
            own = conninfo.conninfo_to_dict(where.location)
            defaults = {name: value for name, value in _SETTINGS.items() if name not in own}
            info = conninfo.make_conninfo(where.location, **defaults)
            self._connection = psycopg.connect(info, autocommit=True, prepare_threshold=2)

    def begin(self, accounts: Sequence[str]) -> None:
        """READ COMMITTED: what is read after the accounts are locked is what the last writer left."""
        with self._errors(), self._connection.pipeline():
            self._connection.execute("BEGIN")
            self._connection.execute(LOCK, (list(accounts),))

    def begin_reading(self) -> None:
        """The first read takes the snapshot."""
        with self._errors():
            self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def fetch(self, reads: Sequence[tuple[Sql, tuple[Any, ...]]]) -> list[list[Any]]:
        """All in one round trip."""
        with self._errors():
            with self._connection.pipeline():
                cursors = [self._connection.execute(sql[1], values) for sql, values in reads]
            return [cursor.fetchall() for cursor in cursors]

    def numbers(self, count: int) -> Iterator[int]:
        """From the table's own sequence."""
        with self._errors():
            return iter([row[0] for row in self._connection.execute(NUMBERS_POSTGRES, (count,))])

    def commit(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """Whole columns at a time, all statements in one round trip; the commit is another."""
        with self._errors():
            done: list[tuple[str, int, Any]] = []
            with self._connection.pipeline():
                for write in WRITES:
                    some = rows.get(write.name)
                    if some:
                        columns = [list(column) for column in zip(*some, strict=True)]
                        cursor = self._connection.execute(write.postgres, columns)
                        if write.exact:
                            done.append((write.name, len(some), cursor))
            for name, wanted, cursor in done:
                if cursor.rowcount != wanted:
                    raise LedgerDamaged(f"{name}: {wanted} rows to change, {cursor.rowcount} are there")
            self._connection.execute("COMMIT")

    def rollback(self) -> None:
        """Leaves the database as it was."""
        with self._errors():
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    @contextlib.contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (self._psycopg.OperationalError, self._psycopg.InterfaceError) as error:
            raise LedgerAway(
                f"the database does not answer: {_first_line(error)}",
                hint=f"start the database server of {self._shown}",
            ) from error
        except self._psycopg.Error as error:
            raise LedgerDamaged(f"the database refused a write: {_first_line(error)}", hint="orch tap check") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
