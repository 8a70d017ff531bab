# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/applets` and `POST /v1/applets/{id}`."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from llama_orch.tap.applets.offer import Offer
from llama_orch.tap.applets.running import Asked, Running
from llama_orch_utils.errors import BadRequest
from llama_orch_utils.money import micro_euros

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

_OK = 200
COST = b"x-orch-cost"


async def listing(tap: Tap, call: Call) -> None:
    """Every applet that is offered, with its schemas."""
    offer = _offer(tap)
    await offer.door(tap)  # for the processes that may run something later
    found = await asyncio.get_running_loop().run_in_executor(offer.threads, offer.listing)
    await call.reply(_OK, json.dumps({"object": "list", "data": found}).encode())


async def run(tap: Tap, call: Call) -> None:
    """The body is the input; `?model=` and `?max_cost=` (euros) choose the model and bound the money.

    Raises RequestError 404 for an unknown applet, BadRequest, RateLimited, and the errors of the run.
    """
    offer, owner = _offer(tap), call.client.account
    asked = await _asked(call)
    door = await offer.door(tap)
    with offer.place(owner), offer.using(asked.name, owner) as kept:
        made, cost = await Running(tap, offer, door, call.client, asked).go(kept)
    answer = {"object": "applet.run", "applet": asked.name, "output": made.output, "text": made.text}
    told = json.dumps({**answer, "cost": cost}, ensure_ascii=False).encode()
    await call.reply(_OK, told, [(COST, str(cost).encode())])


async def _asked(call: Call) -> Asked:
    try:
        given = json.loads(await call.body() or b"{}")
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}", param="/") from error
    if not isinstance(given, dict):
        raise BadRequest("the body must be an object: the applet's input", param="/", hint="GET /v1/applets")
    words = parse_qs(call.query.decode("latin-1"))
    model, most = words.get("model"), words.get("max_cost")
    return Asked(
        call.argument, cast("dict[str, Any]", given), model[0] if model else None,
        micro_euros(most[0]) if most else None,
    )  # fmt: skip


def _offer(tap: Tap) -> Offer:
    """As tap.toml was read last."""
    if tap.applets is None:
        tap.applets = Offer(tap.config)
    elif tap.applets.config is not tap.config:
        tap.applets.update(tap.config)
    return tap.applets
