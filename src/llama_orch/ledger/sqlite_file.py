# SPDX-License-Identifier: GPL-3.0-or-later
"""How every connection of this house treats a SQLite ledger."""

from __future__ import annotations

import sqlite3
import time

BUSY_SECONDS = 5.0
_PAUSE_SECONDS = 0.005
_WAL = "PRAGMA journal_mode=WAL"
_PRAGMAS = (
    "PRAGMA synchronous=FULL",  # a commit is on the disk when it returns
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",  # or INSERT OR REPLACE would delete past the triggers that forbid it
    "PRAGMA cache_size=-8192",  # 8 MiB: it fills as the journal grows; what it lacks is in the system's own cache
    "PRAGMA wal_autocheckpoint=4000",  # pages: 16 MiB
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA trusted_schema=OFF",
)


def prepare(connection: sqlite3.Connection, patience: float = BUSY_SECONDS) -> None:
    """Gives a new connection our settings. Raises sqlite3.OperationalError when the file stays locked.

    `patience` seconds are waited for a lock, now and later.
    """
    connection.execute(f"PRAGMA busy_timeout={int(patience * 1000)}")
    _switch_to_wal(connection, patience)
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _switch_to_wal(connection: sqlite3.Connection, patience: float) -> None:
    """Waits for its turn: the busy time-out does not hold for a change of the journal's mode.

    Source: https://sqlite.org/c3ref/busy_handler.html (where waiting could be a deadlock, SQLITE_BUSY comes at once).
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute(_WAL)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return
