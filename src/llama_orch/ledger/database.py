# SPDX-License-Identifier: GPL-3.0-or-later
"""The way in for everything that is not on the request's path: SQLAlchemy connections that respect the writers.

`with writing(engine) as connection` is one transaction that no other writer of the same accounts overlaps;
`with reading(engine) as connection` is one snapshot. Both turn a database that is away into LedgerAway.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Generator
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from llama_orch.ledger.address import Address, address
from llama_orch.ledger.errors import LedgerAway
from llama_orch.ledger.sqlite_file import BUSY_SECONDS, prepare
from llama_orch_utils.errors import ConfigError

CONNECT_SECONDS = 2


def open_database(url: str, *, patience: float = BUSY_SECONDS) -> Engine:
    """An engine for `url`; connects on first use. Raises ConfigError for an address that names nothing.

    A SQLite file that somebody else writes is waited for `patience` seconds.
    """
    where = address(url)
    return _sqlite(where, patience) if where.kind == "sqlite" else _postgres(where)


@contextlib.contextmanager
def writing(engine: Engine) -> Generator[Connection]:
    """One transaction: committed at the end, rolled back by an exception. On SQLite it holds the write lock."""
    with _away(engine), engine.connect() as connection:
        writer = connection.execution_options(ledger_writes=True)
        with writer.begin():
            yield writer


@contextlib.contextmanager
def reading(engine: Engine) -> Generator[Connection]:
    """One consistent snapshot, read-only."""
    options = (
        {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    )
    with _away(engine), engine.connect() as connection:
        reader = connection.execution_options(**options)
        transaction = reader.begin()
        try:
            yield reader
        finally:
            transaction.rollback()  # nothing was written; and a damaged file cannot even commit that


def lock_accounts(connection: Connection, *ids: str) -> None:
    """Makes every other writer of these accounts wait for the end of this transaction. Call it before reading them."""
    if connection.dialect.name == "postgresql":  # SQLite: the transaction itself is the lock
        connection.execute(
            text("SELECT id FROM accounts WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE"), {"ids": list(ids)}
        )


@contextlib.contextmanager
def _away(engine: Engine) -> Generator[None]:
    try:
        yield
    except OperationalError as error:
        raise LedgerAway(f"the database does not answer: {_first_line(error)}", hint=_hint(engine)) from None


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).partition("\n")[0]


def _hint(engine: Engine) -> str:
    if engine.dialect.name == "sqlite":
        return f"look whether {engine.url.database} can be written, and by whom it is used"
    return f"start the database server of {engine.url.render_as_string(hide_password=True)}"


def _sqlite(where: Address, patience: float) -> Engine:
    engine = create_engine(make_url("sqlite://").set(database=where.location))

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # our own BEGIN below, not pysqlite's late one
        prepare(connection, patience)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        writes = connection.get_execution_options().get("ledger_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres(where: Address) -> Engine:
    try:
        url = make_url(where.location).set(drivername="postgresql+psycopg")
        return create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS})
    except ImportError as error:
        raise ConfigError(
            "PostgreSQL's driver is not installed", key="database", hint='pip install "llama-orch[tap,postgres]"'
        ) from error


def create_file(path: str) -> None:
    """Makes an empty database file that only its owner can read, unless there is one. Raises ConfigError."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}", file=path, hint="make the directory writable, or name another one"
        ) from error
