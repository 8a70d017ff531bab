# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of an applet for a caller of the gateway."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs

from llama_orch.tap.applets.offer import MOST_WAITING, Offer
from llama_orch.tap.gate import key_of as carried
from llama_orch_utils.errors import BadRequest, RateLimited

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap
    from llama_orch_utils.applets.applet import Made

_OK = 200
_NO_KEY = "none"
COST = b"x-orch-cost"


async def listing(tap: Tap, call: Call) -> None:
    """Every applet with its schemas."""
    offer = _offer(tap)
    found = await asyncio.get_running_loop().run_in_executor(offer.threads, offer.listing)
    await call.reply(_OK, json.dumps({"object": "list", "data": found}).encode())


async def run(tap: Tap, call: Call) -> None:
    """The body is the input; `?model=` and `?max_cost=` (euros) choose the model and bound the money.

    Raises RequestError 404 for an unknown applet, BadRequest, RateLimited, and the errors of the run.
    """
    offer = _offer(tap)
    body = await call.body()
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        raise BadRequest(f"the body is no JSON: {error}", param="/") from error
    if not isinstance(given, dict):
        raise BadRequest("the body must be an object: the applet's input", param="/", hint="GET /v1/applets")
    if offer.waiting >= MOST_WAITING:
        raise RateLimited("too many applets run here already", retry_after=1.0)
    key = await key_of(tap, call)
    asked = parse_qs(call.query.decode("latin-1"))
    target = own_address(tap, call)
    offer.waiting += 1
    try:
        made = await asyncio.get_running_loop().run_in_executor(
            offer.threads, _run, offer, call.argument, cast("dict[str, Any]", given), (target, key), asked
        )
    finally:
        offer.waiting -= 1
    answer = {"object": "applet.run", "applet": call.argument, "output": made.output, "text": made.text}
    told = json.dumps({**answer, "cost": made.cost}, ensure_ascii=False).encode()
    await call.reply(_OK, told, [(COST, str(made.cost).encode())])


async def key_of(tap: Tap, call: Call) -> str:  # noqa: ARG001 - what makes a key for one run needs the tap
    """The key that the run has: its caller's."""
    return carried(call).decode("latin-1") or _NO_KEY


def own_address(tap: Tap, call: Call) -> str:
    """The gateway itself, as a client on this machine reaches it.

    Where there is TLS, by the name that the caller used: the certificate is for that one.
    """
    server = call.scope.get("server") or (tap.options.host, tap.options.port)
    host, port = str(server[0]), server[1]
    if port is None:  # it came from another process of this gateway, over a Unix socket
        host, port = tap.options.host, tap.options.port
    if call.scope["scheme"] == "https":
        host = call.headers.get(b"host", b"").decode("latin-1").rpartition(":")[0] or host
        return f"https://{host}:{port}/v1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"


def _offer(tap: Tap) -> Offer:
    if tap.applets is None:
        tap.applets = Offer()
    return tap.applets


def _run(offer: Offer, name: str, given: dict[str, Any], reached: tuple[str, str], asked: dict[str, list[str]]) -> Made:
    from llama_orch_utils.applets.files import Files
    from llama_orch_utils.client.blocking import Client
    from llama_orch_utils.money import micro_euros

    applet = offer.find(name)
    most = asked.get("max_cost")
    target, key = reached
    with Client(target, key=key, model=asked.get("model", [None])[0]) as client:
        return applet.invoke(
            given, client=client, files=Files(), max_cost=micro_euros(most[0]) if most is not None else None
        )
