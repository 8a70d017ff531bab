# SPDX-License-Identifier: GPL-3.0-or-later
"""Every table of a tap's database, as SQLAlchemy Core sees it.

The migrations make these tables and the triggers that guard them; a test compares the two. Money is whole
micro-euros, times are Unix seconds, days and months count from 1970 in UTC, lists are JSON text.
The hot path (`book`, `sqlite`, `postgres`) speaks SQL by hand; everything else builds on these.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
    true,
)

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only where it says INTEGER


def _money(name: str, *, default: int | None = None, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable, server_default=None if default is None else text(str(default)))


def _words(name: str, default: str | None = "") -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _time(name: str, *, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _id(name: str = "id") -> Column[str]:
    return Column(name, Text, primary_key=True)


def _account() -> Column[str]:
    return Column("account", Text, ForeignKey("accounts.id"), nullable=False)


accounts = Table(
    "accounts",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _time("created_at"),
    Column("paused", Boolean, nullable=False, server_default=false()),
    _words("currency", "EUR"),
    _words("warn_at", "[]"),  # balances (micro-euros) below which the account is warned
    _words("note"),
    _money("balance", default=0),  # kept: the sum of `remaining` over its grants
    _money("reserved", default=0),  # kept: the sum of its open reservations
    _time("fee_since", nullable=True),  # when a month fee was first found unpaid
    _time("fee_stops_at", nullable=True),  # from then on it pauses until the fee is paid
    CheckConstraint("balance >= 0", name="balance_not_negative"),
    CheckConstraint("reserved >= 0", name="reserved_not_negative"),
)

keys = Table(
    "keys",
    metadata,
    _id(),
    _account(),
    Column("digest", LargeBinary, nullable=False),
    _words("models", "[]"),  # [] is every model
    _time("created_at"),
    _time("expires_at", nullable=True),
    _time("revoked_at", nullable=True),
    Column("requests_per_minute", Integer),
    Column("tokens_per_minute", BigInteger),
    Column("concurrent", Integer),
    _money("budget_day", nullable=True),
    _money("budget_month", nullable=True),
    _words("networks", "[]"),  # CIDR; [] is everywhere
    _words("note"),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("rotated_from", Text),
    Index("keys_of_account", "account"),
)

key_states = Table(
    "key_states",
    metadata,
    _id("key"),
    Column("account", Text, nullable=False),
    Column("running", Integer, nullable=False),  # open reservations
    _words("recent", "[]"),  # [second, requests, tokens] of the last minute, kept only where a limit needs it
    Column("day", Integer, nullable=False),
    _money("day_spent"),  # settled that day, and what is reserved since that day
    Column("month", Integer, nullable=False),
    _money("month_spent"),
    _money("total_spent"),
    Index("key_states_of_account", "account"),
    CheckConstraint("running >= 0", name="running_not_negative"),
    CheckConstraint("day_spent >= 0 AND month_spent >= 0 AND total_spent >= 0", name="spent_not_negative"),
)

grants = Table(
    "grants",
    metadata,
    _id(),
    _account(),
    _words("kind", None),  # purchase, voucher, gift, adjustment, …
    _money("amount"),
    _money("remaining"),
    Column("priority", Integer, nullable=False, server_default=text("0")),  # the lower is drawn first
    _time("granted_at"),
    _time("expires_at", nullable=True),
    _time("expired_at", nullable=True),
    _words("scope"),  # '' pays for everything; `gpu:NAME` only for that
    _words("reference"),
    _words("reason"),
    _words("actor"),
    CheckConstraint("amount > 0", name="amount_positive"),
    CheckConstraint("remaining >= 0 AND remaining <= amount", name="remaining_within_amount"),
    Index(
        "grants_open", "account", sqlite_where=text("expired_at IS NULL"), postgresql_where=text("expired_at IS NULL")
    ),
    Index(
        "grants_ending",
        "expires_at",
        sqlite_where=text("expired_at IS NULL"),
        postgresql_where=text("expired_at IS NULL"),
    ),
)

journal = Table(
    "journal",
    metadata,
    Column("id", _Serial, primary_key=True),
    _time("at"),
    _words("kind", None),
    Column("account", Text, nullable=False),
    _words("source", None),  # a book of the account: `grant:ID`, reserved, revenue, expired, adjustments, clearing
    _words("target", None),
    _money("amount"),
    Column("reservation", BigInteger),
    Column("price", BigInteger),  # the version it was charged by
    _words("reason"),
    _words("actor"),
    CheckConstraint("amount > 0", name="transfer_positive"),
    CheckConstraint("source <> target", name="transfer_moves"),
    CheckConstraint("kind IN ('grant', 'reserve', 'settle', 'release', 'expire', 'adjust')", name="transfer_kind"),
    Index("journal_of_account", "account"),
    Index("journal_of_reservation", "reservation"),
)

reservations = Table(
    "reservations",  # the open ones only: an ended one is a row of `usage`
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("request_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("price", BigInteger, nullable=False),
    _words("kind", None),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("max_tokens", BigInteger, nullable=False),
    _money("amount"),
    _words("parts", None),  # [[grant, amount], …] in the order it took them
    _time("created_at"),
    _time("lease_until"),
    Column("checkpoint", Text),  # what it had used when the lease was last renewed
    Column("idempotency", Text),
    Column("run", Text),  # of an applet, where one asks with its caller's key
    CheckConstraint("amount >= 0 AND prompt_tokens >= 0 AND max_tokens >= 0", name="reservation_not_negative"),
    sqlite_autoincrement=True,
)

usage = Table(
    "usage",
    metadata,
    Column("reservation", _Serial, primary_key=True, autoincrement=False),
    Column("request_id", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("price", BigInteger, nullable=False),
    _words("kind", None),
    _words("ending", None),  # settled, released
    _words("outcome", None),  # how the request ended, or why it was released
    _time("created_at"),
    _time("settled_at"),
    _money("amount"),
    _money("cost"),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("embedding_tokens", BigInteger, nullable=False),
    Column("gpu_microseconds", BigInteger, nullable=False),
    Column("partial", Integer, nullable=False),
    Column("run", Text),
    CheckConstraint("cost >= 0 AND cost <= amount", name="cost_within_reservation"),
    CheckConstraint("ending IN ('settled', 'released')", name="usage_ending"),
    Index("usage_of_account", "account", "settled_at"),
)

runs = Table(
    "runs",  # of applets: each asks with the key of its caller, until it ends, and for so much money at most
    metadata,
    _id(),
    Column("key", Text, nullable=False),
    _account(),
    _words("applet"),
    _money("most"),
    _money("spent", default=0),  # kept: settled, and what is reserved
    _time("created_at"),
    _time("expires_at"),
    _time("ended_at", nullable=True),
    CheckConstraint("spent >= 0 AND spent <= most", name="run_within_its_cap"),
    Index("runs_of_key", "key", "created_at"),
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("account", Text, primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("embedding_tokens", BigInteger, nullable=False),
    Column("gpu_microseconds", BigInteger, nullable=False),
    _money("cost"),
)

prices = Table(
    "prices",
    metadata,
    Column("id", _Serial, primary_key=True),
    Column("model", Text, nullable=False),  # `*`: every model that has no price of its own
    _time("starts_at"),
    _money("input"),
    _money("cached"),
    _money("output"),
    _money("embeddings", default=0),
    _money("gpu_second", default=0),
    _time("created_at"),
    _words("actor"),
    CheckConstraint(
        "input >= 0 AND cached >= 0 AND output >= 0 AND embeddings >= 0 AND gpu_second >= 0", name="price_not_negative"
    ),
    Index("prices_of_model", "model", "starts_at"),
)

packs = Table(
    "packs",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    _money("amount"),  # micro-euros of credit
    _money("price"),  # micro-euros to pay
    Column("days", Integer),  # None: 12 months
    Column("gpu_seconds", BigInteger),  # of a GPU-hour pack
    _words("scope"),
    Column("active", Boolean, nullable=False, server_default=true()),
    _time("created_at"),
)

vouchers = Table(
    "vouchers",
    metadata,
    _id(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    _money("amount"),
    Column("days", Integer),
    _time("created_at"),
    _time("expires_at", nullable=True),
    Column("redeemed_by", Text),
    _time("redeemed_at", nullable=True),
    Column("grant_id", Text),
    _words("note"),
    _words("actor"),
    CheckConstraint("amount > 0", name="voucher_positive"),
)

payments = Table(
    "payments",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    _words("object_id"),
    Column("account", Text),
    Column("pack", Text),
    _money("amount", default=0),
    _words("currency", "EUR"),
    _words("kind"),
    _words("status", None),
    _time("received_at"),
    Column("grant_id", Text),
    _words("note"),
    Index("payments_of_object", "provider", "object_id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("account", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("reservation", BigInteger),
    _time("created_at"),
    _time("expires_at"),
    Column("status", Integer),  # None: running, or never kept
    _words("media"),
    Column("body", LargeBinary),
    Index("idempotency_ending", "expires_at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Serial, primary_key=True),
    _words("kind", None),
    Column("account", Text),
    Column("dedupe", Text, nullable=False, unique=True),
    _words("url"),
    _words("body", None),
    _time("created_at"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _time("next_at"),
    _time("sent_at", nullable=True),
    _words("error"),
)

admin_keys = Table(
    "admin_keys",
    metadata,
    _id(),
    Column("digest", LargeBinary, nullable=False),
    _words("note"),
    _time("created_at"),
    _time("expires_at", nullable=True),
    _time("revoked_at", nullable=True),
)

engine_requests = Table(
    "engine_requests",  # what the engines themselves counted, by request: never used to charge, only to compare
    metadata,
    Column("worker", Text, primary_key=True),  # one life of one worker
    Column("number", BigInteger, primary_key=True, autoincrement=False),  # of the requests that ended in it
    Column("reservation", BigInteger, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    _time("noted_at"),
    Index("engine_requests_noted", "noted_at"),
)
