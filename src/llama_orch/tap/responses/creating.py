# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/responses` and `POST /v1/responses/input_tokens`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from llama_orch.tap.responses.harvest import Harvest, Response
from llama_orch.tap.responses.plan import Plan
from llama_orch.tap.responses.run import Run
from llama_orch.tap.responses.streaming import follow
from llama_orch.wire.responses.request import parse
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.responses.responses import Responses
    from llama_orch.tap.tap import Tap

_OK = 200


async def create(tap: Tap, call: Call) -> None:
    """Hands the request on with what it refers to, and stores what comes of it unless `store` is false."""
    responses, owner = tap.responses, call.client.owner
    plan = Plan(await call.body(), responses.store, owner)
    if plan.background:
        await _in_background(responses, call, plan)
        return
    observer = Harvest(partial(_keep, responses, owner, plan)) if plan.stored else None
    await tap.forward(call, plan.body, plan.model, observer)


async def input_tokens(tap: Tap, call: Call) -> None:
    """Counts what the same body would give the model, with the past that it refers to."""
    plan = Plan(await call.body(), tap.responses.store, call.client.owner)
    await tap.forward(call, plan.body, plan.model)


def _keep(responses: Responses, owner: str, plan: Plan, response: Response) -> None:
    responses.keep(owner, response, plan.given)


async def _in_background(responses: Responses, call: Call, plan: Plan) -> None:
    if not plan.stored:
        raise BadRequest("a background response has to be stored", param="/store", hint="leave store out")
    run = Run(responses, call, plan, parse(plan.body))
    await run.begin()
    if plan.stream:
        await follow(call, run, 0)
    else:
        await call.reply(_OK, run.body)
