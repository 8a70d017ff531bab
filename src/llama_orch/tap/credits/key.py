# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/key`: what the key may do, and what it has used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llama_orch.tap.credits.money import moment

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

_OK = 200


async def key(tap: Tap, call: Call) -> None:
    """The key that asks; never another one. Raises LedgerAway."""
    record = call.client.record
    assert tap.ledger is not None, "only a gateway with accounts has this route"
    assert record is not None, "its authority gives every client its record"
    state = await tap.ledger.key_state(record.id)
    answer: dict[str, object] = {
        "object": "key",
        "id": record.id,
        "account": record.account,
        "note": record.note,
        "models": list(record.models),
        "expires_at": moment(record.expires_at),
        "paused": record.paused,
        "limits": {
            "requests_per_minute": record.requests_per_minute,
            "tokens_per_minute": record.tokens_per_minute,
            "concurrent": record.concurrent,
            "budget_day": record.budget_day,
            "budget_month": record.budget_month,
            "networks": list(record.networks),
        },
        "usage": {
            "running": state.running,
            "minute_requests": state.minute_requests,
            "minute_tokens": state.minute_tokens,
            "day": state.day_spent,
            "month": state.month_spent,
            "total": state.total_spent,
        },
        "remaining": {
            "day": _left(record.budget_day, state.day_spent),
            "month": _left(record.budget_month, state.month_spent),
        },
    }
    await call.reply(_OK, json.dumps(answer, ensure_ascii=False).encode())


def _left(budget: int | None, spent: int) -> int | None:
    return None if budget is None else max(0, budget - spent)
