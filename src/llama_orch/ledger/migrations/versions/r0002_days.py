# SPDX-License-Identifier: GPL-3.0-or-later
"""Usage by day (filled from what is there), messages to send, the operator's keys, the engines' own counters."""

from __future__ import annotations

from llama_orch.ledger.migrations.dialect import dialect, run

revision = "0002"
down_revision = "0001"

_TABLES = (
    """
    CREATE TABLE usage_days (
        account TEXT NOT NULL, day INTEGER NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL, requests BIGINT NOT NULL,
        prompt_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
        embedding_tokens BIGINT NOT NULL, gpu_microseconds BIGINT NOT NULL, cost BIGINT NOT NULL,
        PRIMARY KEY (account, day, key, model))
    """,
    """
    CREATE TABLE outbox (
        id {serial}, kind TEXT NOT NULL, account TEXT, dedupe TEXT NOT NULL UNIQUE, url TEXT NOT NULL DEFAULT '',
        body TEXT NOT NULL, created_at {double} NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        next_at {double} NOT NULL, sent_at {double}, error TEXT NOT NULL DEFAULT '')
    """,
    """
    CREATE TABLE admin_keys (
        id TEXT NOT NULL PRIMARY KEY, digest {bytes} NOT NULL, note TEXT NOT NULL DEFAULT '',
        created_at {double} NOT NULL, expires_at {double}, revoked_at {double})
    """,
    """
    CREATE TABLE engine_counters (
        worker TEXT NOT NULL, model TEXT NOT NULL, prompt_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
        noted_at {double} NOT NULL, PRIMARY KEY (worker, model))
    """,
)

_FILL = """
INSERT INTO usage_days
SELECT account, {day}, key, model, COUNT(*), SUM(prompt_tokens), SUM(cached_tokens), SUM(output_tokens),
       SUM(embedding_tokens), SUM(gpu_microseconds), SUM(cost)
FROM usage WHERE ending = 'settled' GROUP BY account, {day}, key, model
"""


def upgrade() -> None:
    """Makes the tables, and sums up the usage of the days before."""
    run(_TABLES)
    day = (
        "CAST(FLOOR(settled_at / 86400) AS INTEGER)"
        if dialect() == "postgresql"
        else "CAST(settled_at / 86400 AS INTEGER)"
    )
    run([_FILL.replace("{day}", day)])
