# SPDX-License-Identifier: GPL-3.0-or-later
"""How every connection of this house treats a SQLite ledger."""

from __future__ import annotations

PRAGMAS = (
    "PRAGMA busy_timeout=5000",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # a commit is on the disk when it returns
    "PRAGMA foreign_keys=ON",
    "PRAGMA recursive_triggers=ON",  # or INSERT OR REPLACE would delete past the triggers that forbid it
    "PRAGMA cache_size=-8192",  # 8 MiB: it fills as the journal grows; what it lacks is in the system's own cache
    "PRAGMA wal_autocheckpoint=4000",  # pages: 16 MiB
    "PRAGMA journal_size_limit=67108864",
    "PRAGMA trusted_schema=OFF",
)
