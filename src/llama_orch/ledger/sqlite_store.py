# SPDX-License-Identifier: GPL-3.0-or-later
"""A ledger in a SQLite file: write-ahead log, synchronous=FULL, one writer at a time.

Writers of several processes queue at an advisory lock beside the file: the kernel wakes the next one at once, where
SQLite's own waiting sleeps and retries. The lock goes with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llama_orch.ledger.changes import Row
from llama_orch.ledger.errors import LedgerAway, LedgerDamaged
from llama_orch.ledger.kept import Kept
from llama_orch.ledger.sqlite_file import prepare
from llama_orch.ledger.statements import NUMBER_SQLITE, WRITES, Write, for_rows
from llama_orch.ledger.store import Sql
from llama_orch_utils.errors import ConfigError

MOST_ROWS = 32
"""In one statement: 19 columns each, and SQLite takes 32,766 values."""
_PATIENCE = 1.5
"""Seconds that a lock of another process is waited for: a caller is to know within 2."""

_PREPARED = 256
"""Statements that a connection keeps: four tables take their rows in texts of 1 to MOST_ROWS of them, 10 KiB each."""


class SqliteStore:
    """One connection for one thread at a time."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.kept: Kept | None = Kept(self._version)
        if not Path(path).is_file():
            raise ConfigError(f"there is no ledger at {path}", file=path, hint="orch tap migrate")
        try:
            self._turn = os.open(f"{path}-turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=_PREPARED
            )
            prepare(self._connection, _PATIENCE)
        except (OSError, sqlite3.Error) as error:
            raise LedgerAway(
                f"{path} cannot be opened: {error}", hint="look at its permissions and its disk"
            ) from error

    def begin(self, accounts: Sequence[str]) -> None:
        """The whole file's write lock."""
        del accounts
        fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            self._execute("BEGIN IMMEDIATE")
        except BaseException:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
            raise

    def begin_reading(self) -> None:
        """The first read takes the snapshot."""
        self._execute("BEGIN")

    def _version(self) -> int:
        row: tuple[int] = self._execute("PRAGMA data_version").fetchone()
        return row[0]

    def fetch(self, reads: Sequence[tuple[Sql, tuple[Any, ...]]]) -> list[list[Any]]:
        """One after the other."""
        return [self._execute(sql[0], _bound(values)).fetchall() for sql, values in reads]

    def numbers(self, count: int) -> Iterator[int]:
        """From the highest that there ever was."""
        del count
        row = self._execute(NUMBER_SQLITE).fetchone()
        return itertools.count((row[0] if row else 0) + 1)

    def commit(self, rows: Mapping[str, Sequence[Row]]) -> None:
        """One commit."""
        try:
            for write in WRITES:
                some = rows.get(write.name)
                if some:
                    met = self._write(write, some)
                    if write.exact and met != len(some):
                        raise LedgerDamaged(f"{write.name}: {len(some)} rows to change, {met} are there")
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._failure(error) from error
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _write(self, write: Write, rows: Sequence[Row]) -> int:
        """How many rows were met. Many in one call, for each gives Python's lock to the event loop and waits for it."""
        if not write.part:
            return self._connection.executemany(write.sqlite, rows).rowcount
        met = at = 0
        while at < len(rows):
            some = rows[at : at + MOST_ROWS]
            values = list(itertools.chain.from_iterable(some))
            met += self._connection.execute(for_rows(write, len(some)), values).rowcount
            at += MOST_ROWS
        return met

    def rollback(self) -> None:
        """Leaves the file as it was."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._failure(error) from error
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()
        os.close(self._turn)

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except sqlite3.Error as error:
            raise self._failure(error) from error

    def _failure(self, error: sqlite3.Error) -> LedgerAway | LedgerDamaged:
        """Locked, full, unreadable: away. Refused by a constraint, a trigger or the file's own form: damaged."""
        if isinstance(error, sqlite3.OperationalError):
            return LedgerAway(f"{self._path} does not answer: {error}", hint="look at its permissions and its disk")
        return LedgerDamaged(f"the database refused a write: {error}", hint="orch tap check")


def _bound(values: tuple[Any, ...]) -> list[Any]:
    return [json.dumps(value) if isinstance(value, list) else value for value in values]
