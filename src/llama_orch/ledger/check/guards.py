# SPDX-License-Identifier: GPL-3.0-or-later
"""What guards the ledger from everybody else: triggers, constraints, and the file itself."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Connection, text
from sqlalchemy.exc import DatabaseError

from llama_orch.ledger.check.rule import Finding
from llama_orch.ledger.schema import metadata

GUARDED = ("accounts", "grants", "journal", "prices", "runs", "usage")

_TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
}
_CONSTRAINTS = {
    "sqlite": "SELECT sql FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT conname FROM pg_constraint WHERE contype = 'c' AND convalidated",
}


def guards(connection: Connection) -> list[Finding]:
    """Every guard that is missing."""
    dialect = connection.dialect.name
    missing = [*_missing_triggers(connection, dialect), *_missing_constraints(connection, dialect)]
    findings = [
        Finding("guard", name, "what keeps this table right is missing", "missing", "there") for name in missing
    ]
    return findings + (_damage(connection) if dialect == "sqlite" else [])


def _missing_triggers(connection: Connection, dialect: str) -> list[str]:
    there = {row[0] for row in connection.execute(text(_TRIGGERS[dialect]))}
    kinds = ("no_updates", "no_deletes") if dialect == "sqlite" else ("no_updates", "no_deletes", "no_truncate")
    return [name for table in GUARDED for kind in kinds if (name := f"{table}_{kind}") not in there]


def _missing_constraints(connection: Connection, dialect: str) -> list[str]:
    there = " ".join(str(row[0]) for row in connection.execute(text(_CONSTRAINTS[dialect])))
    wanted = (
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    )
    return [name for name in wanted if name not in there]


def _damage(connection: Connection) -> list[Finding]:
    """Pages that SQLite itself finds broken."""
    try:
        found = [str(row[0]) for row in connection.execute(text("PRAGMA integrity_check(20)"))]
    except DatabaseError as error:
        found = [str(error.orig)]
    return [Finding("file", "sqlite", "the database file is damaged", what, "ok") for what in found if what != "ok"]
