# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /api/ps`: the models in memory."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from llama_orch.tap.ollama.entry import DETAILS_SHAPE, details, moment, tagged
from llama_orch.wire.shapes import TEXT, answer_object, array, integer

if TYPE_CHECKING:
    from llama_orch.pool.fleet import FleetModel
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

_CENTURY = 100 * 365 * 24 * 3600.0


_COUNT = integer(0, 2**63)
_MODEL = answer_object(
    dict.fromkeys(("name", "model", "expires_at", "digest"), TEXT)
    | dict.fromkeys(("size", "size_vram", "context_length"), _COUNT)
    | {"details": DETAILS_SHAPE}
)
ANSWER = answer_object({"models": array(_MODEL)})


async def handle(tap: Tap, call: Call) -> None:
    """The list of loaded models."""
    models = [await _entry(tap, model) for model in tap.fleet.models() if model.state == "ready"]
    await call.reply(200, json.dumps({"models": models}, ensure_ascii=False).encode("utf-8", "replace"))


async def _entry(tap: Tap, model: FleetModel) -> dict[str, Any]:
    name = tagged(model.id)
    memory = model.memory or model.stored.size
    return {
        "name": name,
        "model": name,
        "size": memory,
        "digest": model.stored.digest or "",
        "details": await details(model),
        "expires_at": moment(_expires(tap, model)),
        "size_vram": memory if tap.options.gpu_layers else 0,
        "context_length": model.context or 0,
    }


def _expires(tap: Tap, model: FleetModel) -> float:
    """When the model leaves memory by itself, Unix seconds; in a hundred years where it stays."""
    used = model.used_at or model.loaded_at or time.time()
    forever = model.pinned or tap.options.keep_alive < 0
    return used + (_CENTURY if forever else tap.options.keep_alive)
