# SPDX-License-Identifier: Apache-2.0
"""What a fake tap answers to embeddings and rankings: as scripted, or made from the texts, always the same."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from collections.abc import Sequence
from typing import Any, cast

Json = dict[str, Any]
DIMENSIONS = 8


def vector_of(text: str, dimensions: int = DIMENSIONS) -> tuple[float, ...]:
    """A vector of length 1 that is the same for the same text, and another one for another."""
    block = b"".join(hashlib.sha256(f"{turn}:{text}".encode()).digest() for turn in range(dimensions // 32 + 1))
    numbers = [each / 127.5 - 1 for each in block[:dimensions]]
    norm = math.sqrt(sum(each * each for each in numbers)) or 1.0
    return tuple(each / norm for each in numbers)


def embeddings(asked: Json, model: str, scripted: Sequence[Sequence[float]] | None) -> Json:
    """The reply to `POST /v1/embeddings`, in base64 where that was asked for."""
    given: object = asked.get("input")
    texts = [str(each) for each in cast("list[object]", given)] if isinstance(given, list) else [str(given)]
    size = int(asked.get("dimensions") or DIMENSIONS)
    vectors = scripted if scripted is not None else [vector_of(text, size) for text in texts]
    in_base64 = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": place, "embedding": _base64(vector) if in_base64 else list(vector)}
        for place, vector in enumerate(vectors)
    ]
    count = sum(len(text.split()) for text in texts)
    return {"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": count, "total_tokens": count}}


def ranking(asked: Json, model: str, scripted: Sequence[float] | None) -> Json:
    """The reply to `POST /v1/rerank`: as scripted, or by the words that a document shares with the query."""
    query = set(str(asked.get("query", "")).lower().split())
    documents = [str(each) for each in cast("list[object]", asked.get("documents") or [])]
    scores = scripted or [len(query & set(text.lower().split())) / (len(query) or 1) for text in documents]
    results = [{"index": place, "relevance_score": score} for place, score in enumerate(scores)]
    results.sort(key=lambda each: -each["relevance_score"])
    count = sum(len(text.split()) for text in documents)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return {"model": model, "results": results[: asked.get("top_n") or None], "usage": usage}


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
