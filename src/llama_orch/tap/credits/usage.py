# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/usage?from=&to=&group_by=day|model|key`: what the key's account used and paid."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from llama_orch.tap.credits.money import moment
from llama_orch.tap.credits.schema import FIGURES
from llama_orch.tap.responses.question import Question
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch.ledger.records import UsageRow
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

_OK = 200
_USUAL_DAYS = 30
_DAY = 86_400.0
GroupBy = Literal["day", "model", "key"]


async def usage(tap: Tap, call: Call) -> None:
    """Days are UTC; `from` and `to` are days (both included) or RFC 3339 times (`to` is the first moment after).

    Without them: the last 30 days. Raises BadRequest, LedgerAway.
    """
    assert tap.ledger is not None, "only a gateway with accounts has this route"
    question = Question(call.query)
    start, end = _span(question)
    group: GroupBy = question.text("group_by", ("day", "model", "key")) or "day"  # pyright: ignore[reportAssignmentType]
    rows = await tap.ledger.usage(call.client.account, start, end, group)
    shown = [{group: row.group, **_figures(row)} for row in rows]
    answer: dict[str, object] = {
        "object": "usage",
        "currency": "EUR" if tap.config is None else tap.config.currency,
        "group_by": group,
        "from": moment(start),
        "to": moment(end),
        "rows": shown,
        "total": {name: sum(_figures(row)[name] for row in rows) for name in FIGURES},
    }
    await call.reply(_OK, json.dumps(answer, ensure_ascii=False).encode())


def _figures(row: UsageRow) -> dict[str, int]:
    return {
        "requests": row.requests,
        "input_tokens": row.prompt_tokens,
        "cached_tokens": row.cached_tokens,
        "output_tokens": row.output_tokens,
        "embedding_tokens": row.embedding_tokens,
        "cost": row.cost,
    }


def _span(question: Question) -> tuple[float, float]:
    last = question.text("to")
    tomorrow = (time.time() // _DAY + 1) * _DAY
    end = tomorrow if last is None else _moment(last, "to", after=True)
    first = question.text("from")
    start = end - _USUAL_DAYS * _DAY if first is None else _moment(first, "from", after=False)
    if start >= end:
        raise BadRequest("from must be before to", param="/from", hint="from=2026-11-01&to=2026-11-30")
    return start, end


def _moment(text: str, name: str, *, after: bool) -> float:
    try:
        if len(text) == len("2026-11-21"):
            day = date.fromisoformat(text) + timedelta(days=1 if after else 0)
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"{name} is no day: {text[:40]!r}", param=f"/{name}", hint=f"{name}=2026-11-21") from error
