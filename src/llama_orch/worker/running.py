# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway that charges asks about the requests it has here: how far they are, and to end one of them.

Only on a Unix socket. A request is named by the ticket that the gateway gave it; the answer of one that was ended still
comes, as an error, and its receipt has the exact counts.
"""

from __future__ import annotations

import json

from llama_orch.wire.routes import Route
from llama_orch.worker import terms
from llama_orch.worker.call import Call
from llama_orch.worker.replies import header
from llama_orch.worker.service import Service
from llama_orch_utils.errors import RequestError

_OK = 200


async def cancel(service: Service, call: Call, route: Route) -> None:  # noqa: ARG001 - one signature for all jobs
    """Ends the request with this ticket; how many there were."""
    check_trusted(call)
    ticket = (header(call.scope, terms.TICKET) or b"").decode("latin-1")
    found = [one for one in service.exchanges if ticket and one.ticket == ticket]
    for exchange in found:
        exchange.stop()
    await call.reply(_OK, b'{"cancelled": %d}' % len(found))


async def listing(service: Service, call: Call, route: Route) -> None:  # noqa: ARG001
    """What each request with a ticket took until now: prompt, cached and output tokens, microseconds of the engine."""
    check_trusted(call)
    found: dict[str, list[int]] = {}
    for exchange in service.exchanges:
        if exchange.ticket:
            took = exchange.receipt()
            counts = [took.prompt_tokens, took.cached_tokens, took.output_tokens, took.gpu_microseconds]
            found[exchange.ticket] = counts
    await call.reply(_OK, json.dumps({"running": found}, separators=(",", ":")).encode())


def check_trusted(call: Call) -> None:
    """Raises a 404 for whoever did not come over the Unix socket."""
    if not call.trusted:
        raise RequestError("there is no such path here", code="unknown_path", status=404)
