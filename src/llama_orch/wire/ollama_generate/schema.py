# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /api/generate` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.ollama_chat.options import WITHOUT_EFFECT
from llama_orch.wire.ollama_chat.schema import ERROR, IMAGES, MODEL, NOTHING, SHARED, answers
from llama_orch.wire.shapes import FLAG, TEXT, Schema, any_of, enum, request_object

_COMMON: dict[str, Schema] = {"prompt": TEXT, "images": IMAGES, "context": NOTHING} | SHARED
_OFF = enum(False)

REQUEST = any_of(
    request_object(
        {"model": MODEL}, _COMMON | {"system": TEXT, "suffix": enum(""), "raw": _OFF}, ignored=WITHOUT_EFFECT
    ),
    request_object(
        {"model": MODEL}, _COMMON | {"system": enum(""), "suffix": TEXT, "raw": _OFF}, ignored=WITHOUT_EFFECT
    ),
    request_object(
        {"model": MODEL}, _COMMON | {"system": enum(""), "suffix": enum(""), "raw": FLAG}, ignored=WITHOUT_EFFECT
    ),
)
"""A system prompt, a suffix and raw mode exclude each other."""
ANSWER, STREAM = answers({"response": TEXT, "thinking": TEXT}, ("thinking",))

__all__ = ["ANSWER", "ERROR", "REQUEST", "STREAM"]
