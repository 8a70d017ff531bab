# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /tokenize` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.embeddings.schema import ERROR
from llama_orch.wire.model_name import MODEL
from llama_orch.wire.shapes import FLAG, TEXT, Schema, answer_object, any_of, array, integer, request_object
from llama_orch.wire.tokenize.request import MAX_PARTS, MAX_TOKEN

TOKEN: Schema = integer(0, MAX_TOKEN)

REQUEST: Schema = request_object(
    {"content": any_of(TEXT, array(any_of(TEXT, TOKEN), most=MAX_PARTS))},
    {"add_special": FLAG, "parse_special": FLAG, "with_pieces": FLAG, "model": MODEL},
)
_NAMED = answer_object({"id": TOKEN, "piece": any_of(TEXT, array(integer(0, 255)))})
ANSWER: Schema = answer_object({"tokens": any_of(array(TOKEN), array(_NAMED))})
STREAM = None

__all__ = ["ANSWER", "ERROR", "REQUEST", "STREAM", "TOKEN"]
