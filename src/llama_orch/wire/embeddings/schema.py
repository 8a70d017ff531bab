# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /v1/embeddings` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.embeddings.request import (
    ENCODINGS,
    MAX_DIMENSIONS,
    MAX_INPUTS,
    MAX_LENGTH,
    MAX_TOKEN,
    WITHOUT_EFFECT,
)
from llama_orch.wire.model_name import MODEL
from llama_orch.wire.shapes import COST, TEXT, Schema, answer_object, any_of, array, enum, integer, request_object, text

TOKENS: Schema = array(integer(0, MAX_TOKEN), least=1, most=MAX_LENGTH)
_TEXT = text(shortest=1)
COUNT: Schema = {"type": "integer", "minimum": 0}
USAGE: Schema = answer_object({"prompt_tokens": COUNT, "total_tokens": COUNT, "cost": COST}, optional=("cost",))

REQUEST: Schema = request_object(
    {"input": any_of(_TEXT, TOKENS, array(any_of(_TEXT, TOKENS), least=1, most=MAX_INPUTS))},
    {
        "model": MODEL,
        "dimensions": integer(1, MAX_DIMENSIONS),
        "encoding_format": enum(*ENCODINGS),
    },
    ignored=WITHOUT_EFFECT,
)
ANSWER: Schema = answer_object(
    {
        "object": enum("list"),
        "data": array(
            answer_object(
                {
                    "object": enum("embedding"),
                    "index": COUNT,
                    "embedding": any_of(array({"type": "number"}), {"type": "string", "contentEncoding": "base64"}),
                }
            ),
            least=1,
        ),
        "model": TEXT,
        "usage": USAGE,
    }
)
STREAM = None
ERROR: Schema = answer_object(
    {
        "error": answer_object(
            {
                "message": TEXT,
                "type": TEXT,
                "param": any_of(TEXT, {"type": "null"}),
                "code": any_of(TEXT, {"type": "null"}),
                "hint": any_of(TEXT, {"type": "null"}),
            },
            more=True,
        )
    }
)
