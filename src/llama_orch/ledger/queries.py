# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the text is put together from this house's own words; values are parameters
"""What accounts and keys may see of themselves."""

from __future__ import annotations

import json
from typing import Any, Literal

from llama_orch.ledger.calendar import DAY, day_name, day_of, month_of
from llama_orch.ledger.drawdown import OpenGrant, balance_of
from llama_orch.ledger.minute import Minute
from llama_orch.ledger.records import Answer, Credits, GrantState, KeyState, UsageRow
from llama_orch.ledger.statements import read
from llama_orch.ledger.store import Store
from llama_orch_utils.errors import BadRequest, RequestError

MOST_ANSWER = 4 * 2**20
MOST_ANSWERS = 64 * 2**20
"""Bytes of one kept answer, and of all of an account."""

GroupBy = Literal["day", "model", "key"]
EXPIRES_SOON = 14 * DAY
"""From so many seconds before a grant's end on it is warned of."""

_SUMS = ", ".join(
    f"SUM({name})"
    for name in ("prompt_tokens", "cached_tokens", "output_tokens", "embedding_tokens", "gpu_microseconds", "cost")
)
_ACCOUNT = read("SELECT paused, currency, warn_at, reserved, fee_since, fee_stops_at FROM accounts WHERE id = {value}")
_GRANTS = read(
    "SELECT id, kind, amount, remaining, granted_at, expires_at, priority, scope FROM grants"
    " WHERE account = {value} AND expired_at IS NULL AND remaining > 0"
    " ORDER BY priority, COALESCE(expires_at, 1e18), granted_at, id"
)
_KEY_STATE = read(
    "SELECT k.account, s.running, s.recent, s.day, s.day_spent, s.month, s.month_spent, s.total_spent"
    " FROM keys k LEFT JOIN key_states s ON s.key = k.id WHERE k.id = {value}"
)
_ANSWER = read(
    "SELECT digest, status, media, body FROM idempotency"
    " WHERE account = {value} AND key = {value} AND status IS NOT NULL AND expires_at > {value}"
)
_KEPT = read("SELECT COALESCE(SUM(LENGTH(body)), 0) FROM idempotency WHERE account = {value}")
_BY_DAYS = {
    name: read(
        f"SELECT {name}, SUM(requests), {_SUMS} FROM usage_days"
        f" WHERE account = {{value}} AND day >= {{value}} AND day < {{value}} GROUP BY {name} ORDER BY {name}"
    )
    for name in ("day", "model", "key")
}
_OF_REQUESTS = (
    f", COUNT(*), {_SUMS} FROM usage WHERE account = {{value}}"
    " AND settled_at >= {value} AND settled_at < {value} AND ending = 'settled' GROUP BY 1 ORDER BY 1"
)
_BY_REQUESTS = {
    "day": (  # SQLite's CAST cuts off, PostgreSQL's rounds
        read(f"SELECT CAST(settled_at / 86400 AS INTEGER){_OF_REQUESTS}")[0],
        read(f"SELECT FLOOR(settled_at / 86400)::int8{_OF_REQUESTS}")[1],
    ),
    "model": read(f"SELECT model{_OF_REQUESTS}"),
    "key": read(f"SELECT key{_OF_REQUESTS}"),
}


def credits_of(store: Store, account: str, now: float) -> Credits:
    """An account's money. Raises BadRequest when there is no such account."""
    found, rows = store.fetch([(_ACCOUNT, (account,)), (_GRANTS, (account,))])
    if not found:
        raise BadRequest(f"there is no account {account!r}", param="/account", hint="orch tap account ls")
    paused, currency, warn_at, reserved, owes_since, stops_at = found[0]
    grants = [row for row in rows if row[5] is None or row[5] > now]
    balance = balance_of([OpenGrant(row[0], row[3], row[6], row[4], row[5], "") for row in grants], now)
    ends = [row[5] for row in grants if row[5] is not None]
    return Credits(
        balance=balance,
        reserved=reserved,
        currency=currency,
        paused=bool(paused) or balance == 0 or (stops_at is not None and stops_at <= now),
        grants=tuple(GrantState(*row[:6]) for row in grants),
        next_expiry=min(ends, default=None),
        warnings=_warnings(balance, json.loads(warn_at), min(ends, default=None), now)
        + (() if owes_since is None else ("fee_unpaid",)),
    )


def _warnings(balance: int, thresholds: list[int], next_expiry: float | None, now: float) -> tuple[str, ...]:
    low = ("balance_low",) if any(balance < threshold for threshold in thresholds) else ()
    soon = ("grant_expires_soon",) if next_expiry is not None and next_expiry - now <= EXPIRES_SOON else ()
    return low + soon


def key_state(store: Store, key: str, now: float) -> KeyState:
    """What a key is using. Raises BadRequest when there is no such key."""
    [rows] = store.fetch([(_KEY_STATE, (key,))])
    if not rows:
        raise BadRequest(f"there is no key {key!r}", param="/key")
    account, running, recent, day, day_spent, month, month_spent, total = rows[0]
    if running is None:
        return KeyState(key, account, 0, 0, 0, 0, 0, 0)
    minute = Minute(recent)
    minute.forget(now)
    today, this_month = day == day_of(now), month == month_of(now)
    return KeyState(
        key, account, running, minute.requests, minute.tokens, day_spent if today else 0,
        month_spent if this_month else 0, total,
    )  # fmt: skip


def usage(store: Store, account: str, start: float, end: float, group_by: GroupBy) -> list[UsageRow]:
    """Sums of what was settled from `start` to before `end`; whole UTC days come from the sums kept by day."""
    if group_by not in _BY_DAYS:
        raise BadRequest(f"usage is grouped by day, model or key, not by {group_by!r}", param="/group_by")
    if start % DAY == 0 and end % DAY == 0:
        [rows] = store.fetch([(_BY_DAYS[group_by], (account, int(start // DAY), int(end // DAY)))])
    else:
        [rows] = store.fetch([(_BY_REQUESTS[group_by], (account, start, end))])
    return [_usage_row(row, group_by) for row in rows]


def _usage_row(row: tuple[Any, ...], group_by: GroupBy) -> UsageRow:
    group = day_name(row[0]) if group_by == "day" else str(row[0])
    return UsageRow(group, *(int(number) for number in row[1:]))


def answer(store: Store, account: str, key: str, now: float) -> Answer | None:
    """What is kept for an `Idempotency-Key`."""
    [rows] = store.fetch([(_ANSWER, (account, key, now))])
    if not rows:
        return None
    digest, status, media, body = rows[0]
    return Answer(bytes(digest), status, media, bytes(body or b""))


def require_room(store: Store, account: str, size: int) -> None:
    """Raises RequestError unless one more answer of `size` bytes may be kept.

    None is dropped for it: that would let its request be charged twice.
    """
    [[(kept,)]] = store.fetch([(_KEPT, (account,))])
    if size > MOST_ANSWER or int(kept) + size > MOST_ANSWERS:
        raise RequestError(
            f"an answer of {size} bytes is not kept: one may have {MOST_ANSWER} bytes, an account's {MOST_ANSWERS}",
            code="answer_not_kept",
            status=507,
        )
