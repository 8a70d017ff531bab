# SPDX-License-Identifier: GPL-3.0-or-later
"""How a process connects: which store, and whether the database is one that this release speaks."""

from __future__ import annotations

from collections.abc import Callable

from llama_orch.ledger.address import Address, address
from llama_orch.ledger.revision import require_head
from llama_orch.ledger.statements import read
from llama_orch.ledger.store import Store

_TABLES = (
    "SELECT COUNT(*) FROM sqlite_master WHERE name = 'alembic_version'",
    b"SELECT COUNT(*) FROM pg_tables WHERE tablename = 'alembic_version' AND schemaname = ANY(current_schemas(false))",
)
_REVISION = read("SELECT version_num FROM alembic_version")


def connector(url: str) -> Callable[[], Store]:
    """A function that opens a connection. It raises LedgerAway; this, ConfigError for an address that names nothing."""
    where = address(url)
    return lambda: connect(where)


def connect(where: Address) -> Store:
    """A connection to a database of the right revision. Raises ConfigError, LedgerAway."""
    store = _store(where)
    try:
        [[(there,)]] = store.fetch([(_TABLES, ())])
        [rows] = store.fetch([(_REVISION, ())]) if there else [[]]
        require_head(rows[0][0] if rows else None)
    except BaseException:
        store.close()
        raise
    return store


def _store(where: Address) -> Store:
    if where.kind == "sqlite":
        from llama_orch.ledger.sqlite_store import SqliteStore

        return SqliteStore(where.location)
    from llama_orch.ledger.postgres_store import PostgresStore

    return PostgresStore(where)
