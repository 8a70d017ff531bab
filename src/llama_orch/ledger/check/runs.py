# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of applets against the requests that they made."""

from __future__ import annotations

from llama_orch.ledger.check.rule import Rule

_REQUESTS = """
SELECT run, key, account, cost AS amount FROM usage WHERE run IS NOT NULL
UNION ALL SELECT run, key, account, amount FROM reservations WHERE run IS NOT NULL
"""

RULES = (
    Rule(
        "run_spent",
        "what a run of an applet has spent is not what its requests cost",
        f"""
        SELECT r.id, r.spent, COALESCE(SUM(t.amount), 0) FROM runs r LEFT JOIN ({_REQUESTS}) t ON t.run = r.id
        GROUP BY r.id, r.spent HAVING r.spent <> COALESCE(SUM(t.amount), 0)
        """,  # noqa: S608 - this house's own words
    ),
    Rule(
        "run_cap",
        "a run of an applet has spent more than it may",
        "SELECT id, spent, most FROM runs WHERE spent < 0 OR spent > most",
    ),
    Rule(
        "run_stranger",
        "a request names a run that does not exist, or is another key's",
        f"""
        SELECT t.run, t.key, COALESCE(r.key, '') FROM ({_REQUESTS}) t LEFT JOIN runs r ON r.id = t.run
        WHERE r.id IS NULL OR r.key <> t.key OR r.account <> t.account
        """,  # noqa: S608
    ),
)
