# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/routes/status`: which ways lead to which model, and what state they are in."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from llama_orch.wire.shapes import TEXT, Schema, answer_object, array, integer

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.routing.routing import Routing
    from llama_orch.tap.routing.way import Way
    from llama_orch.tap.tap import Tap

_COUNT = integer(0, 2**63)
_SUMMED = ("running", "requests", "failures", "opened")
_STATES = ("closed", "half_open", "open")
_NUMBER: Schema = {"type": "number"}
_MEMBERS: dict[str, Schema] = {
    **dict.fromkeys(("id", "kind", "state", "last_error"), TEXT),
    **dict.fromkeys(("weight", "failed_in_a_row", *_SUMMED), _COUNT),
    **dict.fromkeys(("opens_in", "rests_for"), _NUMBER),
}
_WAY = answer_object(_MEMBERS)
ANSWER = answer_object(
    {
        "object": TEXT,
        "processes": _COUNT,
        "retries": answer_object({"ratio": _NUMBER, "requests": _COUNT, "retries": _COUNT}),
        "models": array(answer_object({"model": TEXT, "ways": array(_WAY)})),
    }
)


async def handle(tap: Tap, call: Call) -> None:
    """The state, with the counts of all gateway processes added up. No URL and no key is told."""
    own = teller(tap)
    told = [own] if tap.siblings is None else await tap.siblings.gather("routes", own)
    found = merged([json.loads(each) for each in told])
    await call.reply(200, json.dumps(found).encode())


def teller(tap: Tap) -> bytes:
    """What this process has to say, as JSON."""
    return b"{}" if tap.routing is None else json.dumps(report(tap.routing)).encode()


def report(routing: Routing) -> dict[str, Any]:
    """The state of one process."""
    budget = routing.budget
    return {
        "object": "routes.status",
        "processes": 1,
        "retries": {"ratio": budget.ratio, "requests": budget.requests, "retries": budget.retries},
        "models": [{"model": routed.spec.name, "ways": [_way(way) for way in routed.ways]} for routed in routing.all()],
    }


def merged(reports: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One report of several: counts added, and of each way the worst state that a process knows."""
    first, *others = [each for each in reports if each]
    known = {(model["model"], way["id"]): way for model in first["models"] for way in model["ways"]}
    for other in others:
        first["processes"] += 1
        for name in ("requests", "retries"):
            first["retries"][name] += other["retries"][name]
        for model in other["models"]:
            for way in model["ways"]:
                _add(known.get((model["model"], way["id"])), way)
    return first


def _add(known: dict[str, Any] | None, way: dict[str, Any]) -> None:
    if known is None:  # that process has another configuration for a moment
        return
    for name in _SUMMED:
        known[name] += way[name]
    for name in ("failed_in_a_row", "opens_in", "rests_for"):
        known[name] = max(known[name], way[name])
    known["state"] = max(known["state"], way["state"], key=_STATES.index)
    known["last_error"] = cast("str", known["last_error"]) or way["last_error"]


def _way(way: Way) -> dict[str, Any]:
    count, breaker = way.count, way.breaker
    return {
        "id": way.id,
        "kind": way.kind,
        "weight": way.weight,
        "state": breaker.state,
        "failed_in_a_row": breaker.failed,
        "opened": breaker.opened,
        "opens_in": round(min(breaker.opens_in, 1e6), 1),
        "rests_for": round(count.rests_for, 1),
        "running": count.running,
        "requests": count.requests,
        "failures": count.failures,
        "last_error": count.last_error,
    }
