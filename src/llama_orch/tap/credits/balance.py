# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/credits`: the balance of the key's account, what is reserved of it, and its grants."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llama_orch.tap.credits.money import display, moment

if TYPE_CHECKING:
    from llama_orch.ledger.records import GrantState
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

_OK = 200


async def balance(tap: Tap, call: Call) -> None:
    """As the database has it at this moment. Raises LedgerAway."""
    assert tap.ledger is not None, "only a gateway with accounts has this route"
    found = await tap.ledger.credits(call.client.account)
    answer: dict[str, object] = {
        "object": "credits",
        "balance": found.balance,
        "reserved": found.reserved,
        "currency": found.currency,
        "paused": found.paused,
        "display": display(found.balance, found.currency),
        "grants": [_grant(grant, found.currency) for grant in found.grants],
        "next_expiry": moment(found.next_expiry),
        "warnings": list(found.warnings),
    }
    await call.reply(_OK, json.dumps(answer, ensure_ascii=False).encode())


def _grant(grant: GrantState, currency: str) -> dict[str, object]:
    return {
        "id": grant.id,
        "kind": grant.kind,
        "amount": grant.amount,
        "remaining": grant.remaining,
        "display": display(grant.remaining, currency),
        "granted_at": moment(grant.granted_at),
        "expires_at": moment(grant.expires_at),
    }
