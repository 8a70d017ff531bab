# SPDX-License-Identifier: GPL-3.0-or-later
"""What `GET /v1/credits`, `GET /v1/key` and `GET /v1/usage` give, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.shapes import FLAG, NULL, TEXT, Schema, answer_object, any_of, array, enum

_MONEY: Schema = {"type": "integer", "description": "micro-euros"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_LIMIT = any_of(_COUNT, NULL)
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_MAYBE = any_of(_MOMENT, NULL)

_GRANT = answer_object(
    {
        "id": TEXT,
        "kind": TEXT,
        "amount": _MONEY,
        "remaining": _MONEY,
        "display": TEXT,
        "granted_at": _MOMENT,
        "expires_at": _MAYBE,
    }
)
BALANCE = answer_object(
    {
        "object": enum("credits"),
        "balance": _MONEY,
        "reserved": _MONEY,
        "currency": TEXT,
        "paused": FLAG,
        "display": TEXT,
        "grants": array(_GRANT),
        "next_expiry": _MAYBE,
        "warnings": array(TEXT),
    }
)
_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrent", "budget_day", "budget_month")
_USED = ("running", "minute_requests", "minute_tokens", "day", "month", "total")
KEY = answer_object(
    {
        "object": enum("key"),
        "id": TEXT,
        "account": TEXT,
        "note": TEXT,
        "models": array(TEXT),
        "expires_at": _MAYBE,
        "paused": FLAG,
        "limits": answer_object(dict.fromkeys(_LIMITS, _LIMIT) | {"networks": array(TEXT)}),
        "usage": answer_object(dict.fromkeys(_USED, _COUNT)),
        "remaining": answer_object(dict.fromkeys(("day", "month"), _LIMIT)),
    }
)
FIGURES = ("requests", "input_tokens", "cached_tokens", "output_tokens", "embedding_tokens", "cost")
_FIGURES: dict[str, Schema] = dict.fromkeys(FIGURES, _COUNT)
USAGE = answer_object(
    {
        "object": enum("usage"),
        "currency": TEXT,
        "group_by": enum("day", "model", "key"),
        "from": _MOMENT,
        "to": _MOMENT,
        "rows": array(
            answer_object({"day": TEXT, "model": TEXT, "key": TEXT, **_FIGURES}, optional=("day", "model", "key"))
        ),
        "total": answer_object(_FIGURES),
    }
)
