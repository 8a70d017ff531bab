# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of applets, each with a cap on what it may spend of its key; what engines counted of requests; owed fees."""

from __future__ import annotations

from llama_orch.ledger.migrations.dialect import forbid, run

revision = "0003"
down_revision = "0002"

_CHANGES = (
    """
    CREATE TABLE runs (
        id TEXT NOT NULL PRIMARY KEY, key TEXT NOT NULL, account TEXT NOT NULL REFERENCES accounts (id),
        applet TEXT NOT NULL DEFAULT '', most BIGINT NOT NULL, spent BIGINT NOT NULL DEFAULT 0,
        created_at {double} NOT NULL, expires_at {double} NOT NULL, ended_at {double},
        CONSTRAINT run_within_its_cap CHECK (spent >= 0 AND spent <= most))
    """,
    "CREATE INDEX runs_of_key ON runs (key, created_at)",
    "ALTER TABLE reservations ADD COLUMN run TEXT",
    "ALTER TABLE usage ADD COLUMN run TEXT",
    "DROP TABLE engine_counters",  # nothing ever wrote to it
    """
    CREATE TABLE engine_requests (
        worker TEXT NOT NULL, number BIGINT NOT NULL, reservation BIGINT NOT NULL, request_id TEXT NOT NULL,
        prompt_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL, outcome TEXT NOT NULL,
        noted_at {double} NOT NULL, PRIMARY KEY (worker, number))
    """,
    "CREATE INDEX engine_requests_noted ON engine_requests (noted_at)",
    "ALTER TABLE accounts ADD COLUMN fee_since {double}",
    "ALTER TABLE accounts ADD COLUMN fee_stops_at {double}",
)


def upgrade() -> None:
    """Makes the tables and the columns."""
    run(_CHANGES)
    forbid("runs", update="id, key, account, applet, most, created_at, expires_at", why="a run ends, and never changes")
