# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of `POST /v1/rerank`: each document's relevance to the query."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from llama_orch.engine.busy import Used
from llama_orch.wire.plain_dialect import PlainDialect
from llama_orch.wire.rerank.answer import Ranking
from llama_orch.wire.rerank.request import RerankWish
from llama_orch.wire.routes import Route, load
from llama_orch.worker.admitted import admitted, worked
from llama_orch.worker.call import Call
from llama_orch.worker.count import reply_count
from llama_orch.worker.embed import check_amount, computed, cost_of, receipt
from llama_orch.worker.service import Service
from llama_orch_utils.errors import UnsupportedByTarget
from llama_orch_utils.types import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llama_orch.engine.embedding import Embedder
    from llama_orch.engine.embedding.card import Head


async def handle(service: Service, call: Call, route: Route) -> None:
    """Answers the call. Raises UnsupportedByTarget for a model without a rank head."""
    dialect = cast("PlainDialect[RerankWish, Ranking]", load(route.dialect))
    begun = service.loop.time()
    terms = call.terms()
    async with admitted(service, call) as body:
        embedder, head = _ranker(service)

        def prepare() -> tuple[RerankWish, str, list[list[int]]]:
            wish = dialect.parse(body)
            model = service.answer_name(wish.model, call.resolved)
            return wish, model, [embedder.frame.pair(wish.query, document) for document in wish.documents]

        wish, model, pairs = await worked(service, body, prepare)
        tokens = sum(map(len, pairs))
        if terms.counts:
            await reply_count(call, tokens)
            return
        check_amount(terms, tokens)
        used = Used()
        found = await computed(service, call, embedder, pairs, wish.where, used)
        on_gpus = used.seconds
        cost = cost_of(terms, tokens, on_gpus)
        ranking = Ranking(f"rerank-{call.id}", model, _relevances(found, head), tokens, cost)
        call.usage = Usage(tokens)
        answer = dialect.answer(ranking, wish)
        await call.reply(200, answer, took=receipt(tokens, service.loop.time() - begun, on_gpus))


def _ranker(service: Service) -> tuple[Embedder, Head]:
    from llama_orch.engine.embedding import Embedder

    loaded = service.either
    if isinstance(loaded, Embedder) and loaded.card.head is not None:
        return loaded, loaded.card.head
    raise UnsupportedByTarget(
        f"{service.options.name} has no classification head: it cannot rank texts",
        capability="rerank",
        param="/model",
        hint="ask a reranking model (its GGUF states the pooling rank), or compare vectors of POST /v1/embeddings",
    )


def _relevances(found: NDArray[np.float32], head: Head) -> list[float]:
    """From 0 to 1. A head with one output is trained as a logit, and so stands for a probability."""
    from llama_orch.engine.embedding.vectors import probability

    scores = found[:, head.index]
    return [float(score) for score in (scores.clip(0, 1) if head.probability else probability(scores))]
