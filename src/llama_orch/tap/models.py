# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/models` and `GET /v1/models/{id}`, fit for the OpenAI and the Anthropic client at once."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from llama_orch.pool.fleet import FleetModel
from llama_orch.tap.call import Call

if TYPE_CHECKING:
    from llama_orch.tap.tap import Tap

_OK = 200


async def listing(tap: Tap, call: Call) -> None:
    """Every model that can be asked for, whether it is loaded or not."""
    if tap.routing is not None:
        from llama_orch.tap.routing.listing import entries

        data = await entries(tap, call.client)
    else:
        data = [entry(model) for model in tap.fleet.models()]
    found = {
        "object": "list",
        "data": [_told(each, call) for each in data],
        "has_more": False,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
    await call.reply(_OK, json.dumps(found).encode())


async def one(tap: Tap, call: Call) -> None:
    """One of them; 404 `model_not_found` with near misses for any other name."""
    if tap.routing is not None:
        from llama_orch.tap.routing.listing import entry_for

        found = await entry_for(tap, call.client, call.argument)
    else:
        found = entry(tap.fleet.find(call.argument))
    await call.reply(_OK, json.dumps(_told(found, call)).encode())


def _told(found: dict[str, object], call: Call) -> dict[str, object]:
    """With what Anthropic's client reads; its `capabilities` are an object of its own, so that it gets none."""
    context = found["context_length"]
    found |= {"lifecycle": "active", "max_input_tokens": context, "max_tokens": context}
    return found | {"capabilities": None} if b"anthropic-version" in call.headers else found


def entry(model: FleetModel) -> dict[str, object]:
    """What is told of a model that runs here."""
    created = _created(model)
    return {
        "id": model.id,
        "object": "model",
        "type": "model",
        "created": created,
        "created_at": day(created),
        "display_name": model.id,
        "owned_by": "llama-orch",
        "state": model.state,
        "context_length": model.context or model.context_train,
        "capabilities": list(model.capabilities),
        "meta": {"n_ctx_train": model.context_train, "size": model.stored.size},
    }


def day(created: int) -> str:
    """Unix seconds as Anthropic's client wants them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(created))


def _created(model: FleetModel) -> int:
    """When the model's file was last changed, Unix seconds; 0 where it has gone."""
    try:
        return int(model.stored.path.stat().st_mtime)
    except OSError:
        return 0
