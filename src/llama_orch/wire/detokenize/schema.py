# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /detokenize` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.detokenize.request import MAX_TOKENS
from llama_orch.wire.embeddings.schema import ERROR
from llama_orch.wire.model_name import MODEL
from llama_orch.wire.shapes import TEXT, Schema, answer_object, array, request_object
from llama_orch.wire.tokenize.schema import TOKEN

REQUEST: Schema = request_object({"tokens": array(TOKEN, most=MAX_TOKENS)}, {"model": MODEL})
ANSWER: Schema = answer_object({"content": TEXT})
STREAM = None

__all__ = ["ANSWER", "ERROR", "REQUEST", "STREAM"]
