# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of every generating dialect."""

from __future__ import annotations

from llama_orch.wire.routes import Route, load
from llama_orch.worker.admitted import admitted
from llama_orch.worker.call import Call
from llama_orch.worker.count import counted
from llama_orch.worker.exchange import Exchange
from llama_orch.worker.service import Service


async def handle(service: Service, call: Call, route: Route) -> None:
    """Answers the call in the dialect of its route; a gateway may ask for the prompt's length instead."""
    if call.terms().counts:
        await counted(service, call, route)
        return
    async with admitted(service, call) as body:
        await Exchange(service, load(route.dialect), call).run(body)
