# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer: the documents by relevance, the best first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from llama_orch.wire.rerank.request import RerankWish


@dataclass(frozen=True, slots=True)
class Ranking:
    """A relevance from 0 to 1 for each document, in the request's order; tokens of all pairs together.

    `cost` is what they cost in micro-euros, None where nobody charges.
    """

    id: str
    model: str
    relevances: Sequence[float]
    prompt_tokens: int
    cost: int | None = None


def answer(ranking: Ranking, wish: RerankWish) -> bytes:
    """The list object. Documents of equal relevance keep their order."""
    order = sorted(range(len(ranking.relevances)), key=lambda index: -ranking.relevances[index])
    usage = {"prompt_tokens": ranking.prompt_tokens, "total_tokens": ranking.prompt_tokens}
    if ranking.cost is not None:
        usage["cost"] = ranking.cost
    found = {
        "id": ranking.id,
        "object": "list",
        "model": ranking.model,
        "results": [_result(ranking, wish, index) for index in order[: wish.top_n]],
        "usage": usage,
    }
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")


def _result(ranking: Ranking, wish: RerankWish, index: int) -> dict[str, object]:
    found: dict[str, object] = {"index": index, "relevance_score": ranking.relevances[index]}
    if wish.return_documents:
        found["document"] = {"text": wish.documents[index]}
    return found
