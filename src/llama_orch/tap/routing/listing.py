# SPDX-License-Identifier: GPL-3.0-or-later
"""The models of a tap as `GET /v1/models` tells them: wherever they run, with what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_orch.tap.models import day, entry

if TYPE_CHECKING:
    from llama_orch.tap.call import Client
    from llama_orch.tap.routing.routing import Routed
    from llama_orch.tap.tap import Tap


async def entries(tap: Tap, client: Client) -> list[dict[str, object]]:
    """Every model that the client's key may use."""
    assert tap.routing is not None, "asked only of a tap"
    allowed = _allowed(client)
    return [await entry_of(tap, each) for each in tap.routing.all() if not allowed or each.spec.name in allowed]


async def entry_for(tap: Tap, client: Client, name: str) -> dict[str, object]:
    """One of them. Raises ModelNotFound, which names no other."""
    assert tap.routing is not None, "asked only of a tap"
    return await entry_of(tap, tap.routing.find(name, _allowed(client)))


def _allowed(client: Client) -> tuple[str, ...]:
    return client.record.models if client.record is not None else ()


async def entry_of(tap: Tap, routed: Routed) -> dict[str, object]:
    """One model. What tap.toml says of it counts before what its file says."""
    spec = routed.spec
    here = next((each for each in tap.fleet.models() if each.id == spec.name), None) if spec.local else None
    found = _elsewhere(routed) if here is None else entry(here)
    found["state"] = routed.standing(() if here is None else (here,))
    if spec.context is not None:
        found["context_length"] = spec.context
    if spec.capabilities:
        found["capabilities"] = list(spec.capabilities)
    pricing = await _pricing(tap, spec.name)
    return found if pricing is None else found | {"pricing": pricing}


def _elsewhere(routed: Routed) -> dict[str, object]:
    return {
        "id": routed.spec.name,
        "object": "model",
        "type": "model",
        "created": 0,
        "created_at": day(0),
        "display_name": routed.spec.name,
        "owned_by": "llama-orch",
        "state": "failed",
        "context_length": None,
        "capabilities": [],
        "meta": {"n_ctx_train": None, "size": 0},
    }


async def _pricing(tap: Tap, name: str) -> object:
    if tap.ledger is None or tap.config is None:
        return None
    from llama_orch.tap import wellknown

    prices = await wellknown.prices_of(tap.config)
    return wellknown.pricing(prices.get(name) or prices.get("*"), tap.config.currency)
