# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer: vectors as numbers, or as base64 of little-endian binary32."""

from __future__ import annotations

import json
from base64 import b64encode

from llama_orch.wire.embedding import EmbeddingWish, Vectors, numbers


def answer(vectors: Vectors, wish: EmbeddingWish) -> bytes:
    """The list object. Numbers are printed here: json would print each float32 with the digits of a double."""
    encode = _base64 if wish.encoding == "base64" else numbers
    data = ", ".join(
        f'{{"object": "embedding", "index": {index}, "embedding": {encode(row)}}}'
        for index, row in enumerate(vectors.rows)
    )
    usage = {"prompt_tokens": vectors.prompt_tokens, "total_tokens": vectors.prompt_tokens}
    if vectors.cost is not None:
        usage["cost"] = vectors.cost
    end = json.dumps({"model": vectors.model, "usage": usage}, ensure_ascii=False)[1:]
    return f'{{"object": "list", "data": [{data}], {end}'.encode("utf-8", "replace")


def _base64(row: bytes) -> str:
    return f'"{b64encode(row).decode()}"'
