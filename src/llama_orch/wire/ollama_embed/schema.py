# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /api/embed` and `POST /api/embeddings` take and give, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.model_name import MODEL
from llama_orch.wire.ollama_chat.options import DURATION
from llama_orch.wire.ollama_chat.schema import CHARGED, ERROR
from llama_orch.wire.ollama_embed.request import MAX_DIMENSIONS, MAX_INPUTS
from llama_orch.wire.shapes import (
    FLAG,
    OBJECT,
    TEXT,
    Schema,
    answer_object,
    any_of,
    array,
    integer,
    request_object,
    text,
)

_MODEL: dict[str, Schema] = {"model": MODEL}
_SHARED: dict[str, Schema] = {"options": OBJECT, "keep_alive": any_of({"type": "number"}, text(pattern=DURATION))}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_VECTOR: Schema = array({"type": "number"})

REQUEST: Schema = request_object(
    _MODEL,
    {
        "input": any_of(TEXT, array(text(shortest=1), most=MAX_INPUTS)),
        "truncate": FLAG,
        "dimensions": integer(0, MAX_DIMENSIONS),
        **_SHARED,
    },
)
ANSWER: Schema = answer_object(
    {
        "model": TEXT,
        "embeddings": array(_VECTOR),
        "total_duration": _COUNT,
        "load_duration": _COUNT,
        "prompt_eval_count": _COUNT,
        "usage": CHARGED,
    },
    optional=("usage",),
)
LEGACY_REQUEST: Schema = request_object(_MODEL, {"prompt": TEXT, **_SHARED})
LEGACY_ANSWER: Schema = answer_object({"embedding": _VECTOR, "usage": CHARGED}, optional=("usage",))
STREAM = None

__all__ = ["ANSWER", "ERROR", "LEGACY_ANSWER", "LEGACY_REQUEST", "REQUEST", "STREAM"]
