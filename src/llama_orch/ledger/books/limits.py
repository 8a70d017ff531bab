# SPDX-License-Identifier: GPL-3.0-or-later
"""What a key may do, as it is asked for and as it is kept."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from ipaddress import ip_network

from llama_orch.ledger.books.words import amount_of, model_name, note_text
from llama_orch_utils.errors import BadRequest

_MOST_ENTRIES = 200
_MOST_PER_MINUTE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Limits:
    """None, or an empty list: no limit.

    `models` are the names that may be asked for, `expires_at` Unix seconds, `budget_day` and `budget_month` micro-euros
    per UTC day and month, `networks` the addresses that it may come from (CIDR).
    """

    models: tuple[str, ...] = ()
    expires_at: float | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    budget_day: int | None = None
    budget_month: int | None = None
    networks: tuple[str, ...] = ()
    note: str = ""


NAMES = tuple(each.name for each in fields(Limits))


def columns(limits: Limits, now: float) -> dict[str, object]:
    """The limits as the database keeps them. Raises BadRequest for what cannot be meant."""
    if limits.expires_at is not None and limits.expires_at <= now:
        raise BadRequest("a key cannot expire in the past", param="/expires_at")
    for name in ("requests_per_minute", "tokens_per_minute", "concurrent"):
        value = getattr(limits, name)
        if value is not None and not 1 <= value <= _MOST_PER_MINUTE:
            raise BadRequest(f"{name} is 1 or more", param=f"/{name}")
    for name in ("budget_day", "budget_month"):
        if (value := getattr(limits, name)) is not None:
            amount_of(f"the budget {name}", value)
    return {
        "models": _list("models", [model_name(each) for each in limits.models]),
        "expires_at": limits.expires_at,
        "requests_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "concurrent": limits.concurrent,
        "budget_day": limits.budget_day,
        "budget_month": limits.budget_month,
        "networks": _list("networks", [_network(each) for each in limits.networks]),
        "note": note_text(limits.note),
    }


def _list(name: str, values: list[str]) -> str:
    if len(values) > _MOST_ENTRIES:
        raise BadRequest(f"{name} has at most {_MOST_ENTRIES} entries", param=f"/{name}")
    return json.dumps(list(dict.fromkeys(values)))


def _network(text: str) -> str:
    """An address or a network, as the one form that is compared later."""
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError as error:
        raise BadRequest(f"{text[:50]!r} is no network, such as 10.0.0.0/8", param="/networks") from error
