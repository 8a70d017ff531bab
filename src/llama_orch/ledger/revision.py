# SPDX-License-Identifier: GPL-3.0-or-later
"""The database's revision: what this release needs, and how to get there."""

from __future__ import annotations

from pathlib import Path

from llama_orch.ledger.address import address
from llama_orch_utils.errors import ConfigError

HEAD = "0003"
"""The newest step of `migrations/versions`; a test holds them together."""

_PATIENCE = 60.0
"""Seconds that a process waits for another one that migrates the same file: a full one takes its time."""
_LOCK = 0x6F726368  # "orch": PostgreSQL's advisory lock while one process migrates


def migrate(url: str, revision: str = HEAD) -> tuple[str, str]:
    """Brings the database to `revision`, in one transaction; makes it when there is none. Forward only.

    Returns the revision before (`""`: empty) and after. Raises ConfigError, LedgerAway.
    """
    from sqlalchemy import text

    from llama_orch.ledger.database import create_file, open_database, writing

    where = address(url)
    if where.kind == "sqlite":
        create_file(where.location)
    engine = open_database(url, patience=_PATIENCE)
    try:
        with writing(engine) as connection:
            if where.kind == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            before = _current(connection)
            _refuse_backward(before, revision)
            _upgrade(connection, revision)
            return before, _current(connection)
    finally:
        engine.dispose()


def require_head(current: str | None) -> None:
    """Raises ConfigError unless `current` is what this release speaks."""
    if current == HEAD:
        return
    if current is None:
        raise ConfigError("the database holds no ledger yet", key="database", hint="orch tap migrate")
    if current > HEAD:
        raise ConfigError(
            f"the ledger was migrated by a newer release: it is at revision {current}, this one knows {HEAD}",
            key="database",
            hint="pip install --upgrade llama-orch",
        )
    raise ConfigError(
        f"the ledger is at revision {current}, this release needs {HEAD}", key="database", hint="orch tap migrate"
    )


def _current(connection: object) -> str:
    from alembic.migration import MigrationContext
    from sqlalchemy import Connection

    assert isinstance(connection, Connection)
    return MigrationContext.configure(connection).get_current_revision() or ""


def _refuse_backward(before: str, revision: str) -> None:
    if before > revision:
        raise ConfigError(
            f"the ledger is at revision {before}: it cannot go back to {revision}",
            key="database",
            hint="restore the backup that was made before the upgrade",
        )


def _upgrade(connection: object, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
