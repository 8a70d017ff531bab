# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the text is put together from this house's own words; values are parameters
"""The hot path's SQL, each statement in both dialects: SQLite takes rows one by one, PostgreSQL whole columns at once.

A read names its list of ids as `{ids}`. A write has one parameter per column; on PostgreSQL each is an array.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Write:
    """One statement for many rows. `exact`: each row must meet exactly one row of the table.

    `part` of SQLite's text stands for one row, and may be repeated for more; without it rows are written one by one.
    """

    name: str
    sqlite: str
    postgres: bytes
    exact: bool = False
    part: str = ""


@functools.cache
def for_rows(write: Write, count: int) -> str:
    """SQLite's text for `count` rows, of a statement that has a `part`."""
    return write.sqlite.replace(write.part, ", ".join([write.part] * count), 1)


def read(sql: str) -> tuple[str, bytes]:
    """A read as SQLite and as PostgreSQL say it."""
    return (
        sql.replace("{ids}", "IN (SELECT value FROM json_each(?))").replace("{value}", "?"),
        sql.replace("{ids}", "= ANY(%s)").replace("{value}", "%s").encode(),
    )


LOCK = b"SELECT id FROM accounts WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
OWNERS = read("SELECT id, account, key FROM reservations WHERE id {ids}")
ACCOUNTS = read("SELECT id, paused, fee_stops_at FROM accounts WHERE id {ids}")
GRANTS = read(
    "SELECT account, id, remaining, priority, granted_at, expires_at, scope FROM grants"
    " WHERE account {ids} AND expired_at IS NULL"
)
RUNNING = read("SELECT account, SUM(running) FROM key_states WHERE account {ids} GROUP BY account")
KEY_COLUMNS = (
    "k.id, k.account, k.digest, k.models, k.expires_at, k.revoked_at IS NOT NULL, k.requests_per_minute,"
    " k.tokens_per_minute, k.concurrent, k.budget_day, k.budget_month, k.networks, k.note"
)
KEYS = read(
    f"SELECT {KEY_COLUMNS}, k.paused, s.running, s.recent, s.day, s.day_spent, s.month, s.month_spent, s.total_spent"
    " FROM keys k LEFT JOIN key_states s ON s.key = k.id WHERE k.id {ids}"
)
KEY = read(
    f"SELECT {KEY_COLUMNS}, k.paused OR a.paused FROM keys k JOIN accounts a ON a.id = k.account WHERE k.id {{ids}}"
)
PRICE_COLUMNS = "p.id, p.model, p.input, p.cached, p.output, p.embeddings, p.gpu_second"
PRICES = read(
    f"SELECT {PRICE_COLUMNS} FROM prices p WHERE p.model {{ids}} AND p.starts_at <= {{value}}"
    " ORDER BY p.starts_at, p.id"
)
NEXT_PRICE = read("SELECT MIN(starts_at) FROM prices WHERE starts_at > {value}")
RESERVATIONS = read(
    "SELECT r.id, r.request_id, r.account, r.key, r.model, r.kind, r.prompt_tokens, r.max_tokens, r.amount, r.parts,"
    f" r.created_at, r.lease_until, r.checkpoint, r.idempotency, {PRICE_COLUMNS}, r.run"
    " FROM reservations r JOIN prices p ON p.id = r.price WHERE r.id {ids}"
)
ENDED = read(
    "SELECT reservation, cost, prompt_tokens, cached_tokens, output_tokens, embedding_tokens, gpu_microseconds,"
    " partial, settled_at FROM usage WHERE reservation {ids}"
)
RUNS = read("SELECT id, key, account, most, spent, expires_at, ended_at IS NOT NULL FROM runs WHERE id {ids}")
CLAIMS = read(
    "SELECT i.account, i.key, i.digest, i.expires_at, i.reservation, i.status IS NOT NULL, u.reservation IS NOT NULL"
    " FROM idempotency i LEFT JOIN usage u ON u.reservation = i.reservation"
    " WHERE i.key {ids} AND i.account {ids}"
)
NUMBER_SQLITE = "SELECT seq FROM sqlite_sequence WHERE name = 'reservations'"
NUMBERS_POSTGRES = b"SELECT nextval('reservations_id_seq') FROM generate_series(1, %s)"


def _insert(name: str, table: str, columns: dict[str, str], then: str = "") -> Write:
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    head = f"INSERT INTO {table} ({names})"
    return Write(
        name,
        f"{head} VALUES ({marks}){then}",
        f"{head} SELECT * FROM unnest({arrays}){then}".encode(),
        part=f"({marks})",
    )


def _update(name: str, table: str, change: str, columns: dict[str, str], *, exact: bool = True) -> Write:
    """`change` names the new values as `{column}`; the last column is the row's id."""
    names = list(columns)
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    sqlite = change.format_map(dict.fromkeys(names, "?"))
    postgres = change.format_map({column: f"v.{column}" for column in names})
    return Write(
        name,
        f"UPDATE {table} SET {sqlite} WHERE id = ?",
        f"UPDATE {table} AS t SET {postgres} FROM unnest({arrays}) AS v({', '.join(names)}) WHERE t.id = v.id".encode(),
        exact=exact,
    )


def _delete(name: str, table: str, columns: dict[str, str]) -> Write:
    arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
    where = " AND ".join(f"t.{column} = v.{column}" for column in columns)
    return Write(
        name,
        f"DELETE FROM {table} WHERE {' AND '.join(f'{column} = ?' for column in columns)}",
        f"DELETE FROM {table} AS t USING unnest({arrays}) AS v({', '.join(columns)}) WHERE {where}".encode(),
    )


_REAL, _TEXT, _BIG, _INT, _BYTES = "float8", "text", "int8", "int4", "bytea"
_SUMS = ("requests", "prompt_tokens", "cached_tokens", "output_tokens", "embedding_tokens", "gpu_microseconds", "cost")
_STATE = ("running", "recent", "day", "day_spent", "month", "month_spent", "total_spent")
_TOKENS = dict.fromkeys(
    ("prompt_tokens", "cached_tokens", "output_tokens", "embedding_tokens", "gpu_microseconds"), _BIG
)

WRITES = (
    _update(
        "renewed", "reservations", "lease_until = {lease}, checkpoint = {used}",
        {"lease": _REAL, "used": _TEXT, "id": _BIG}, exact=False,
    ),
    Write(
        "accounts",
        "UPDATE accounts SET balance = balance + ?, reserved = reserved + ? WHERE id = ?",
        b"UPDATE accounts AS t SET balance = t.balance + v.balance, reserved = t.reserved + v.reserved"
        b" FROM unnest(%s::int8[], %s::int8[], %s::text[]) AS v(balance, reserved, id) WHERE t.id = v.id",
        exact=True,
    ),
    Write(
        "grants",
        "UPDATE grants SET remaining = remaining + ? WHERE id = ? AND expired_at IS NULL",
        b"UPDATE grants AS t SET remaining = t.remaining + v.change"
        b" FROM unnest(%s::int8[], %s::text[]) AS v(change, id) WHERE t.id = v.id AND t.expired_at IS NULL",
        exact=True,
    ),
    _update("closed", "grants", "expired_at = {at}", {"at": _REAL, "id": _TEXT}),
    _insert(
        "begun", "runs",
        {"id": _TEXT, "key": _TEXT, "account": _TEXT, "applet": _TEXT, "most": _BIG, "created_at": _REAL,
         "expires_at": _REAL},
    ),
    Write(
        "runs",
        "UPDATE runs SET spent = spent + ? WHERE id = ?",
        b"UPDATE runs AS t SET spent = t.spent + v.change"
        b" FROM unnest(%s::int8[], %s::text[]) AS v(change, id) WHERE t.id = v.id",
        exact=True,
    ),
    _update("over", "runs", "ended_at = {at}", {"at": _REAL, "id": _TEXT}),
    _insert(
        "journal", "journal",
        {"at": _REAL, "kind": _TEXT, "account": _TEXT, "source": _TEXT, "target": _TEXT, "amount": _BIG,
         "reservation": _BIG, "price": _BIG, "reason": _TEXT, "actor": _TEXT},
    ),
    _insert(
        "opened", "reservations",
        {"id": _BIG, "request_id": _TEXT, "account": _TEXT, "key": _TEXT, "model": _TEXT, "price": _BIG, "kind": _TEXT,
         "prompt_tokens": _BIG, "max_tokens": _BIG, "amount": _BIG, "parts": _TEXT, "created_at": _REAL,
         "lease_until": _REAL, "checkpoint": _TEXT, "idempotency": _TEXT, "run": _TEXT},
    ),
    Write(
        "ended",
        "DELETE FROM reservations WHERE id IN (?)",
        b"DELETE FROM reservations WHERE id = ANY(%s::int8[])",
        exact=True,
        part="?",
    ),
    _insert(
        "usage", "usage",
        {"reservation": _BIG, "request_id": _TEXT, "account": _TEXT, "key": _TEXT, "model": _TEXT, "price": _BIG,
         "kind": _TEXT, "ending": _TEXT, "outcome": _TEXT, "created_at": _REAL, "settled_at": _REAL, "amount": _BIG,
         "cost": _BIG, **_TOKENS, "partial": _INT, "run": _TEXT},
    ),
    _insert(
        "days", "usage_days",
        {"account": _TEXT, "day": _INT, "key": _TEXT, "model": _TEXT, **dict.fromkeys(_SUMS, _BIG)},
        " ON CONFLICT (account, day, key, model) DO UPDATE SET "
        + ", ".join(f"{name} = usage_days.{name} + excluded.{name}" for name in _SUMS),
    ),
    _insert(
        "keys", "key_states",
        {"key": _TEXT, "account": _TEXT, "running": _INT, "recent": _TEXT, "day": _INT, "day_spent": _BIG,
         "month": _INT, "month_spent": _BIG, "total_spent": _BIG},
        " ON CONFLICT (key) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _STATE),
    ),
    _delete("unclaimed", "idempotency", {"account": _TEXT, "key": _TEXT, "reservation": _BIG}),
    _insert(
        "claimed", "idempotency",
        {"account": _TEXT, "key": _TEXT, "digest": _BYTES, "reservation": _BIG, "created_at": _REAL,
         "expires_at": _REAL},
    ),
    Write(
        "answered",
        "UPDATE idempotency SET status = ?, media = ?, body = ? WHERE account = ? AND key = ? AND digest = ?",
        b"UPDATE idempotency AS t SET status = v.status, media = v.media, body = v.body"
        b" FROM unnest(%s::int4[], %s::text[], %s::bytea[], %s::text[], %s::text[], %s::bytea[])"
        b" AS v(status, media, body, account, key, digest)"
        b" WHERE t.account = v.account AND t.key = v.key AND t.digest = v.digest",
    ),
    Write(
        "forgotten",
        "DELETE FROM idempotency WHERE expires_at <= ?",
        b"DELETE FROM idempotency WHERE expires_at <= ANY(%s::float8[])",
    ),
    _insert(
        "engines", "engine_requests",
        {"worker": _TEXT, "number": _BIG, "reservation": _BIG, "request_id": _TEXT, "prompt_tokens": _BIG,
         "output_tokens": _BIG, "outcome": _TEXT, "noted_at": _REAL},
        " ON CONFLICT (worker, number) DO NOTHING",
    ),
    Write(
        "uncounted",
        "DELETE FROM engine_requests WHERE noted_at <= ?",
        b"DELETE FROM engine_requests WHERE noted_at <= ANY(%s::float8[])",
    ),
)  # fmt: skip
"""In the order in which a batch executes them."""
