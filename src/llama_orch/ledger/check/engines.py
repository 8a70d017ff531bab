# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engines counted, told by the workers themselves, against what the gateways settled.

The two come by different ways: a gateway settles by the receipt at the end of an answer, and the supervisor fetches the
worker's own list of what has ended. A request is compared when both are there and both speak of the same whole answer,
so that nothing that may be on its way makes a finding:

- it still runs, or its worker was killed before its list was fetched: the engine's side is not there;
- its gateway was killed, or lost the answer: it was released, or settled by a checkpoint and marked as partial;
- another upstream answered it after its worker had failed: its outcome says so, or the worker's does.
"""

from __future__ import annotations

from llama_orch.ledger.check.rule import Rule
from llama_orch.ledger.ending import ELSEWHERE

_WHOLE = "('stop', 'length', 'tool_calls', 'cancelled')"
"""How an answer ends whose counts the gateway has got, or else does not settle by."""

RULES = (
    Rule(
        "engine_tokens",
        "a request was settled by other tokens (prompt, output) than its engine counted",
        f"""
        SELECT u.reservation, (u.prompt_tokens + u.embedding_tokens) || ' ' || u.output_tokens,
               e.prompt_tokens || ' ' || e.output_tokens
        FROM engine_requests e JOIN usage u ON u.reservation = e.reservation
        WHERE e.outcome IN {_WHOLE} AND u.ending = 'settled' AND u.partial = 0
              AND u.outcome NOT LIKE '%{ELSEWHERE}%'
              AND (u.output_tokens <> e.output_tokens OR u.prompt_tokens + u.embedding_tokens <> e.prompt_tokens)
        """,  # noqa: S608 - this house's own words
    ),
    Rule(
        "engine_unknown",
        "an engine answered a request that was never reserved for",
        f"""
        SELECT e.reservation, e.worker || ' ' || e.request_id, 'a reservation' FROM engine_requests e
        LEFT JOIN usage u ON u.reservation = e.reservation LEFT JOIN reservations r ON r.id = e.reservation
        WHERE e.outcome IN {_WHOLE} AND COALESCE(u.request_id, r.request_id, '') <> e.request_id
        """,  # noqa: S608
    ),
)
