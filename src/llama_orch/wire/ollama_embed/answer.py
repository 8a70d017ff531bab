# SPDX-License-Identifier: GPL-3.0-or-later
"""The two answers."""

from __future__ import annotations

import json

from llama_orch.wire.embedding import EmbeddingWish, Vectors, numbers

_NANOSECONDS = 1_000_000_000


def answer(vectors: Vectors, wish: EmbeddingWish) -> bytes:  # noqa: ARG001 - one signature for all dialects
    """`/api/embed`: durations are nanoseconds; of loading 0, the model was there."""
    head = json.dumps({"model": vectors.model}, ensure_ascii=False)[:-1]
    figures: dict[str, object] = {
        "total_duration": int(vectors.seconds * _NANOSECONDS),
        "load_duration": 0,
        "prompt_eval_count": vectors.prompt_tokens,
    }
    if vectors.cost is not None:
        figures["usage"] = {"cost": vectors.cost}
    rows = ", ".join(map(numbers, vectors.rows))
    return f'{head}, "embeddings": [{rows}], {json.dumps(figures)[1:]}'.encode("utf-8", "replace")


def legacy_answer(vectors: Vectors, wish: EmbeddingWish) -> bytes:  # noqa: ARG001
    """`/api/embeddings`: the vector, empty for an empty prompt."""
    found = numbers(vectors.rows[0]) if vectors.rows else "[]"
    usage = "" if vectors.cost is None else f', "usage": {{"cost": {vectors.cost}}}'
    return f'{{"embedding": {found}{usage}}}'.encode()
