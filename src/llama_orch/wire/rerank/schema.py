# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /v1/rerank` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.embeddings.schema import COUNT, ERROR, USAGE
from llama_orch.wire.model_name import MODEL
from llama_orch.wire.rerank.request import MAX_COUNT, MAX_DOCUMENTS, WITHOUT_EFFECT
from llama_orch.wire.shapes import (
    FLAG,
    TEXT,
    Schema,
    answer_object,
    any_of,
    array,
    enum,
    integer,
    number,
    request_object,
    text,
)

REQUEST: Schema = request_object(
    {
        "query": text(shortest=1),
        "documents": array(any_of(TEXT, request_object({"text": TEXT}, {})), least=1, most=MAX_DOCUMENTS),
    },
    {"top_n": integer(1, MAX_COUNT), "return_documents": FLAG, "model": MODEL},
    ignored=WITHOUT_EFFECT,
)
_RESULT = answer_object(
    {"index": COUNT, "relevance_score": number(0, 1), "document": answer_object({"text": TEXT})},
    optional=("document",),
)
ANSWER: Schema = answer_object(
    {"id": TEXT, "object": enum("list"), "model": TEXT, "results": array(_RESULT, least=1), "usage": USAGE}
)
STREAM = None

__all__ = ["ANSWER", "ERROR", "REQUEST", "STREAM"]
