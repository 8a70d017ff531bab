# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /api/show`: what is known about one model."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

from llama_orch.models.gguf_header import GgufHeader, Value, read_parts
from llama_orch.pool.fleet.outward import Outward
from llama_orch.tap.ollama.entry import DETAILS_SHAPE, capabilities, details_of, modified_at, tagged
from llama_orch.wire.fields import Fields
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.shapes import FLAG, OBJECT, TEXT, answer_object, any_of, array, request_object, text
from llama_orch_utils.errors import BadRequest, EngineFailed

if TYPE_CHECKING:
    from llama_orch.pool.fleet import FleetModel
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

MAX_NAME = 1024
_TEMPLATE = "tokenizer.chat_template"
_OUTWARD = Outward()
_IGNORED = ("system", "template", "options")
_NAME = text(shortest=1, longest=MAX_NAME)
REQUEST = any_of(
    request_object({"model": _NAME}, {"name": text(longest=MAX_NAME), "verbose": FLAG}, ignored=_IGNORED),
    request_object({"name": _NAME}, {"model": text(longest=MAX_NAME), "verbose": FLAG}, ignored=_IGNORED),
)
ANSWER = answer_object(
    dict.fromkeys(("license", "modelfile", "parameters", "template", "modified_at"), TEXT)
    | {"details": DETAILS_SHAPE, "model_info": OBJECT, "capabilities": array(TEXT)},
    optional=("license",),
)


async def handle(tap: Tap, call: Call) -> None:
    """Details, template and metadata. Raises ModelNotFound, EngineFailed for a file that cannot be read."""
    model = tap.fleet.find(_asked(await call.body()))
    try:
        header = await asyncio.to_thread(read_parts, model.stored.parts)
    except EngineFailed as error:
        raise _OUTWARD.of(error, model.id) from None
    found = _shown(model, header)
    await call.reply(200, json.dumps(found, ensure_ascii=False).encode("utf-8", "replace"))


def _asked(body: bytes) -> str:
    fields = Fields(parse_json(body))
    # `name` is what the field was called in older releases. `verbose` would add the vocabulary, which is not kept.
    given, older = fields.text("model", longest=MAX_NAME), fields.text("name", longest=MAX_NAME)
    name = given or older or ""
    fields.flag("verbose")
    fields.ignore(_IGNORED)
    fields.refuse_rest()
    if not name:
        raise BadRequest("model is required", param="/model", hint="GET /api/tags names those served")
    return name


def _shown(model: FleetModel, header: GgufHeader) -> dict[str, Any]:
    template = header.text(_TEMPLATE) or ""
    found: dict[str, Any] = {
        "modelfile": f"FROM {tagged(model.id)}\n",
        "parameters": "",
        "template": template,
        "details": details_of(header),
        "model_info": _info(header),
        "capabilities": capabilities(model),
        "modified_at": modified_at(model),
    }
    licence = header.text("general.license")
    return found if licence is None else {"license": licence} | found


def _info(header: GgufHeader) -> dict[str, Any]:
    # Long arrays are null, as in Ollama without `verbose`.
    found = {name: _plain(value) for name, value in header.metadata.items() if name != _TEMPLATE}
    return {"general.parameter_count": header.parameters} | found


def _plain(value: Value) -> Any:
    """The value as JSON has it: infinity and NaN are null."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
