# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts, keys, grants, the journal, reservations, usage, prices, packs, vouchers, payments, idempotency."""

from __future__ import annotations

from llama_orch.ledger.migrations.dialect import forbid, forbid_function, run

revision = "0001"
down_revision = None

_CUSTOMERS = (
    """
    CREATE TABLE accounts (
        id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_at {double} NOT NULL,
        paused BOOLEAN NOT NULL DEFAULT {false}, currency TEXT NOT NULL DEFAULT 'EUR',
        warn_at TEXT NOT NULL DEFAULT '[]', note TEXT NOT NULL DEFAULT '',
        balance BIGINT NOT NULL DEFAULT 0, reserved BIGINT NOT NULL DEFAULT 0,
        CONSTRAINT balance_not_negative CHECK (balance >= 0),
        CONSTRAINT reserved_not_negative CHECK (reserved >= 0))
    """,
    """
    CREATE TABLE keys (
        id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (id), digest {bytes} NOT NULL,
        models TEXT NOT NULL DEFAULT '[]', created_at {double} NOT NULL, expires_at {double}, revoked_at {double},
        requests_per_minute INTEGER, tokens_per_minute BIGINT, concurrent INTEGER,
        budget_day BIGINT, budget_month BIGINT, networks TEXT NOT NULL DEFAULT '[]', note TEXT NOT NULL DEFAULT '',
        paused BOOLEAN NOT NULL DEFAULT {false}, rotated_from TEXT)
    """,
    "CREATE INDEX keys_of_account ON keys (account)",
    """
    CREATE TABLE key_states (
        key TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL, running INTEGER NOT NULL,
        recent TEXT NOT NULL DEFAULT '[]', day INTEGER NOT NULL, day_spent BIGINT NOT NULL,
        month INTEGER NOT NULL, month_spent BIGINT NOT NULL, total_spent BIGINT NOT NULL,
        CONSTRAINT running_not_negative CHECK (running >= 0),
        CONSTRAINT spent_not_negative CHECK (day_spent >= 0 AND month_spent >= 0 AND total_spent >= 0))
    """,
    "CREATE INDEX key_states_of_account ON key_states (account)",
)

_MONEY = (
    """
    CREATE TABLE grants (
        id TEXT NOT NULL PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts (id), kind TEXT NOT NULL,
        amount BIGINT NOT NULL, remaining BIGINT NOT NULL, priority INTEGER NOT NULL DEFAULT 0,
        granted_at {double} NOT NULL, expires_at {double}, expired_at {double},
        scope TEXT NOT NULL DEFAULT '', reference TEXT NOT NULL DEFAULT '', reason TEXT NOT NULL DEFAULT '',
        actor TEXT NOT NULL DEFAULT '',
        CONSTRAINT amount_positive CHECK (amount > 0),
        CONSTRAINT remaining_within_amount CHECK (remaining >= 0 AND remaining <= amount))
    """,
    "CREATE INDEX grants_open ON grants (account) WHERE expired_at IS NULL",
    "CREATE INDEX grants_ending ON grants (expires_at) WHERE expired_at IS NULL",
    """
    CREATE TABLE journal (
        id {serial}, at {double} NOT NULL, kind TEXT NOT NULL, account TEXT NOT NULL,
        source TEXT NOT NULL, target TEXT NOT NULL, amount BIGINT NOT NULL, reservation BIGINT, price BIGINT,
        reason TEXT NOT NULL DEFAULT '', actor TEXT NOT NULL DEFAULT '',
        CONSTRAINT transfer_positive CHECK (amount > 0),
        CONSTRAINT transfer_moves CHECK (source <> target),
        CONSTRAINT transfer_kind CHECK (kind IN ('grant', 'reserve', 'settle', 'release', 'expire', 'adjust')))
    """,
    "CREATE INDEX journal_of_account ON journal (account)",
    "CREATE INDEX journal_of_reservation ON journal (reservation)",
    """
    CREATE TABLE prices (
        id {serial}, model TEXT NOT NULL, starts_at {double} NOT NULL, input BIGINT NOT NULL, cached BIGINT NOT NULL,
        output BIGINT NOT NULL, embeddings BIGINT NOT NULL DEFAULT 0, gpu_second BIGINT NOT NULL DEFAULT 0,
        created_at {double} NOT NULL, actor TEXT NOT NULL DEFAULT '',
        CONSTRAINT price_not_negative
            CHECK (input >= 0 AND cached >= 0 AND output >= 0 AND embeddings >= 0 AND gpu_second >= 0))
    """,
    "CREATE INDEX prices_of_model ON prices (model, starts_at)",
)

_REQUESTS = (
    """
    CREATE TABLE reservations (
        id {serial}, request_id TEXT NOT NULL, account TEXT NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL,
        price BIGINT NOT NULL, kind TEXT NOT NULL, prompt_tokens BIGINT NOT NULL, max_tokens BIGINT NOT NULL,
        amount BIGINT NOT NULL, parts TEXT NOT NULL, created_at {double} NOT NULL, lease_until {double} NOT NULL,
        checkpoint TEXT, idempotency TEXT,
        CONSTRAINT reservation_not_negative CHECK (amount >= 0 AND prompt_tokens >= 0 AND max_tokens >= 0))
    """,
    """
    CREATE TABLE usage (
        reservation {rowid}, request_id TEXT NOT NULL, account TEXT NOT NULL, key TEXT NOT NULL, model TEXT NOT NULL,
        price BIGINT NOT NULL, kind TEXT NOT NULL, ending TEXT NOT NULL, outcome TEXT NOT NULL,
        created_at {double} NOT NULL, settled_at {double} NOT NULL, amount BIGINT NOT NULL, cost BIGINT NOT NULL,
        prompt_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, output_tokens BIGINT NOT NULL,
        embedding_tokens BIGINT NOT NULL, gpu_microseconds BIGINT NOT NULL, partial INTEGER NOT NULL,
        CONSTRAINT cost_within_reservation CHECK (cost >= 0 AND cost <= amount),
        CONSTRAINT usage_ending CHECK (ending IN ('settled', 'released')))
    """,
    "CREATE INDEX usage_of_account ON usage (account, settled_at)",
    """
    CREATE TABLE idempotency (
        account TEXT NOT NULL, key TEXT NOT NULL, digest {bytes} NOT NULL, reservation BIGINT,
        created_at {double} NOT NULL, expires_at {double} NOT NULL, status INTEGER,
        media TEXT NOT NULL DEFAULT '', body {bytes}, PRIMARY KEY (account, key))
    """,
    "CREATE INDEX idempotency_ending ON idempotency (expires_at)",
)

_SHOP = (
    """
    CREATE TABLE packs (
        id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, amount BIGINT NOT NULL, price BIGINT NOT NULL,
        days INTEGER, gpu_seconds BIGINT, scope TEXT NOT NULL DEFAULT '', active BOOLEAN NOT NULL DEFAULT {true},
        created_at {double} NOT NULL)
    """,
    """
    CREATE TABLE vouchers (
        id TEXT NOT NULL PRIMARY KEY, digest {bytes} NOT NULL UNIQUE, amount BIGINT NOT NULL, days INTEGER,
        created_at {double} NOT NULL, expires_at {double}, redeemed_by TEXT, redeemed_at {double}, grant_id TEXT,
        note TEXT NOT NULL DEFAULT '', actor TEXT NOT NULL DEFAULT '',
        CONSTRAINT voucher_positive CHECK (amount > 0))
    """,
    """
    CREATE TABLE payments (
        provider TEXT NOT NULL, event_id TEXT NOT NULL, object_id TEXT NOT NULL DEFAULT '', account TEXT, pack TEXT,
        amount BIGINT NOT NULL DEFAULT 0, currency TEXT NOT NULL DEFAULT 'EUR', kind TEXT NOT NULL DEFAULT '',
        status TEXT NOT NULL, received_at {double} NOT NULL, grant_id TEXT, note TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (provider, event_id))
    """,
    "CREATE INDEX payments_of_object ON payments (provider, object_id)",
    """
    INSERT INTO packs (id, name, amount, price, created_at) VALUES
        ('starter', 'Starter', 50000000, 50000000, 0), ('builder', 'Builder', 200000000, 200000000, 0),
        ('pro', 'Pro', 500000000, 500000000, 0)
    """,
)


def upgrade() -> None:
    """Makes the tables and what guards them."""
    forbid_function()
    for part in (_CUSTOMERS, _MONEY, _REQUESTS, _SHOP):
        run(part)
    forbid("journal", why="the journal is append-only")
    forbid("usage", why="usage records are append-only")
    forbid("prices", why="a price version never changes: add the next one")
    forbid("accounts", update="id", why="an account is never deleted")
    forbid(
        "grants", update="id, account, kind, amount, granted_at, expires_at", why="a grant is never changed or deleted"
    )
