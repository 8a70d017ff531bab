# SPDX-License-Identifier: GPL-3.0-or-later
"""All rules, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from llama_orch.ledger.check import engines, grants, requests, runs, sums
from llama_orch.ledger.check.guards import guards
from llama_orch.ledger.check.rule import Finding, Rule
from llama_orch.ledger.database import open_database, reading
from llama_orch.ledger.opening import connector

RULES: tuple[Rule, ...] = (*grants.RULES, *requests.RULES, *runs.RULES, *sums.RULES, *engines.RULES)
MOST = 100
"""Findings of one rule, at most."""

_DAY = {"sqlite": "CAST(u.settled_at / 86400 AS INTEGER)", "postgresql": "CAST(FLOOR(u.settled_at / 86400) AS INTEGER)"}
_MONTH = """
SELECT key, SUM(amount) FROM (
    SELECT key, created_at, cost AS amount FROM usage UNION ALL SELECT key, created_at, amount FROM reservations) t
WHERE created_at >= {0} AND created_at < {1} GROUP BY key
"""


def check(url: str) -> list[Finding]:
    """Everything that is wrong with the ledger at `url`; [] when all invariants hold.

    Right while others write: it sees one instant. Raises ConfigError (not a ledger of this release), LedgerAway.
    """
    connector(url)().close()
    engine = open_database(url)
    try:
        with reading(engine) as connection:
            findings = guards(connection)
            try:
                return [*findings, *_ruled(connection), *_months(connection)]
            except DatabaseError as error:
                if not findings:
                    raise
                broken = Finding("file", "sqlite", "the other rules could not be read", str(error.orig), "readable")
                return [*findings, broken]
    finally:
        engine.dispose()


def _ruled(connection: Connection) -> Iterable[Finding]:
    day = _DAY[connection.dialect.name]
    for rule in RULES:
        rows = connection.exec_driver_sql(rule.sql.replace("{day}", day).replace("%", _percent(connection)))
        for subject, found, expected in rows.fetchmany(MOST):
            yield Finding(rule.name, str(subject), rule.text, str(found), str(expected))
        rows.close()


def _percent(connection: Connection) -> str:
    """How the driver takes one: psycopg reads a single one as a parameter's mark."""
    return "%%" if connection.dialect.name == "postgresql" else "%"


def _months(connection: Connection) -> Iterable[Finding]:
    """What keys have spent of their month's budget: months have no arithmetic in SQL that both understand."""
    states: list[Any] = list(connection.exec_driver_sql("SELECT key, month, month_spent FROM key_states"))
    for month in sorted({state[1] for state in states}):
        rows = connection.exec_driver_sql(_MONTH.format(_start(month), _start(month + 1)))
        spent: dict[str, int] = {row[0]: int(row[1]) for row in rows}
        for key, of, kept in states:
            if of == month and kept != spent.get(key, 0):
                text = "what a key has spent of its month's budget is not what its requests of that month cost"
                yield Finding("key_month", key, text, str(kept), str(spent.get(key, 0)))


def _start(month: int) -> float:
    return datetime(1970 + month // 12, month % 12 + 1, 1, tzinfo=UTC).timestamp()
