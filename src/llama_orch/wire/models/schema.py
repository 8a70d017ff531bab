# SPDX-License-Identifier: GPL-3.0-or-later
"""What `GET /v1/models` and `GET /v1/models/{id}` give, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.error_schema import ERROR
from llama_orch.wire.shapes import TEXT, Schema, answer_object, array, enum

_COUNT: Schema = {"type": "integer", "minimum": 0}
REQUEST = None
MODEL: Schema = answer_object(
    {
        "id": TEXT,
        "object": enum("model"),
        "created": {"type": "integer"},
        "owned_by": TEXT,
        "context_length": _COUNT,
        "capabilities": array(TEXT),
        "meta": answer_object({"n_ctx_train": _COUNT, "n_params": _COUNT, "size": _COUNT}),
    }
)
"""One model."""
ANSWER: Schema = answer_object({"object": enum("list"), "data": array(MODEL)})
"""The list."""
STREAM = None

__all__ = ["ANSWER", "ERROR", "MODEL", "REQUEST", "STREAM"]
