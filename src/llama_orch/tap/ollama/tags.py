# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /api/tags`: every model that can be asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llama_orch.tap.ollama.entry import DETAILS_SHAPE, capabilities, details, modified_at, tagged
from llama_orch.wire.shapes import TEXT, answer_object, array, integer

if TYPE_CHECKING:
    from llama_orch.pool.fleet import FleetModel
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap


_MODEL = answer_object(
    dict.fromkeys(("name", "model", "modified_at", "digest"), TEXT)
    | {"size": integer(0, 2**63), "details": DETAILS_SHAPE, "capabilities": array(TEXT)}
)
ANSWER = answer_object({"models": array(_MODEL)})


async def handle(tap: Tap, call: Call) -> None:
    """The list of models, whether loaded or not."""
    models = [await _entry(model) for model in tap.fleet.models()]
    await call.reply(200, json.dumps({"models": models}, ensure_ascii=False).encode("utf-8", "replace"))


async def _entry(model: FleetModel) -> dict[str, Any]:
    name = tagged(model.id)
    return {
        "name": name,
        "model": name,
        "modified_at": modified_at(model),
        "size": model.stored.size,
        "digest": model.stored.digest or "",
        "details": await details(model),
        "capabilities": capabilities(model),
    }
