# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker tells about itself: `/health` and the models list."""

from __future__ import annotations

import json

from llama_orch.wire import models as listing
from llama_orch.wire.routes import Route
from llama_orch.worker.call import Call
from llama_orch.worker.replies import header
from llama_orch.worker.service import Service
from llama_orch_utils.errors import BadRequest

_OK, _UNAVAILABLE = 200, 503


async def health(service: Service, call: Call, route: Route) -> None:  # noqa: ARG001 - one signature for all jobs
    """`GET /health`: 503 until the model is loaded. `x-orch-keep-alive: SECONDS` asks the worker to stay that long."""
    wish = header(call.scope, b"x-orch-keep-alive")
    if wish is not None:
        service.lifetime.touch(_seconds(wish))
    status = _OK if service.phase == "ready" else _UNAVAILABLE
    await call.reply(status, json.dumps(service.health()).encode())


async def models(service: Service, call: Call, route: Route) -> None:  # noqa: ARG001
    """`GET /v1/models`."""
    await call.reply(_OK, listing.listing([service.entry()]))


async def model(service: Service, call: Call, route: Route) -> None:
    """`GET /v1/models/{id}`."""
    service.answer_name(call.scope["path"][len(route.path) - 1 :], call.resolved)
    await call.reply(_OK, listing.one(service.entry()))


def _seconds(wish: bytes) -> float:
    try:
        seconds = float(wish)
    except ValueError:
        seconds = float("nan")
    if seconds != seconds:  # noqa: PLR0124 - not a number
        raise BadRequest("x-orch-keep-alive must be a number of seconds")
    return seconds
