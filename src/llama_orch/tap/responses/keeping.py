# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be done with a stored response: look at it and at its input, stream it again, cancel it, delete it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llama_orch.tap.responses.listing import page
from llama_orch.tap.responses.question import Question
from llama_orch.tap.responses.refusals import no_response, not_background
from llama_orch.tap.responses.run import Run
from llama_orch.tap.responses.store import StoredResponse
from llama_orch.tap.responses.streaming import follow

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

_OK = 200
_MOST_EVENTS = 2**53


async def retrieve(tap: Tap, call: Call) -> None:
    """`GET /v1/responses/{id}`; `?stream=true&starting_after=N` streams a background response."""
    found = tap.responses.find(call.client.owner, call.argument)
    question = Question(call.query)
    start = question.integer("starting_after", -1, _MOST_EVENTS, usual=-1) + 1
    if question.flag("stream"):
        await follow(call, found, start)
        return
    await call.reply(_OK, found.body)


async def delete(tap: Tap, call: Call) -> None:
    """`DELETE /v1/responses/{id}`; one that runs ends."""
    found = tap.responses.find(call.client.owner, call.argument)
    if isinstance(found, Run):
        await found.cancel()
    if not tap.responses.store.remove(call.client.owner, call.argument):
        raise no_response(call.argument)
    answer = {"id": call.argument, "object": "response", "deleted": True}
    await call.reply(_OK, json.dumps(answer).encode())


async def cancel(tap: Tap, call: Call) -> None:
    """`POST /v1/responses/{id}/cancel`: of a background response; one that has ended stays as it is."""
    found = tap.responses.find(call.client.owner, call.argument)
    if isinstance(found, StoredResponse) and not found.background:
        raise not_background("cancelled")
    if isinstance(found, Run):
        await found.cancel()
    await call.reply(_OK, found.body)


async def input_items(tap: Tap, call: Call) -> None:
    """`GET /v1/responses/{id}/input_items`: everything that the model was given, the newest first."""
    found = tap.responses.find(call.client.owner, call.argument)
    await call.reply(_OK, page(found.given, Question(call.query)))
