# SPDX-License-Identifier: Apache-2.0
"""What a fake tap tells about an account: one grant, and no usage yet."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from llama_orch_utils.money import display

Json = dict[str, Any]
GRANTED, EXPIRES = "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"
PAUSED: Json = {
    "error": {
        "message": "the credits are used up",
        "type": "insufficient_quota",
        "code": "insufficient_credits",
        "metadata": {"limit_source": "credits", "balance": 0, "affordable_max_tokens": 0},
    }
}


def credits_of(balance: int) -> Json:
    """`GET /v1/credits`."""
    grant = {"id": "grant-1", "kind": "gift", "amount": max(balance, 1), "remaining": max(balance, 0)}
    return {
        "balance": balance,
        "reserved": 0,
        "currency": "EUR",
        "display": display(balance),
        "paused": balance < 1,
        "grants": [{**grant, "granted_at": GRANTED, "expires_at": EXPIRES}],
        "next_expiry": EXPIRES,
    }


def usage_of(path: str) -> Json:
    """`GET /v1/usage`, for the days and the grouping that `path` asks for."""
    asked = parse_qs(urlsplit(path).query)
    total = {"requests": 0, "input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "cost": 0}
    head = {name: asked[name][0] for name in ("from", "to", "group_by")}
    return {**head, "currency": "EUR", "rows": [], "total": total}
