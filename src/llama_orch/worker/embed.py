# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of every embedding dialect; and how a request waits for its vectors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from llama_orch.engine.busy import Used
from llama_orch.wire.embedding import EmbeddingWish, Vectors
from llama_orch.wire.plain_dialect import PlainDialect
from llama_orch.wire.receipt import Receipt
from llama_orch.wire.routes import Route, load
from llama_orch.worker.admitted import admitted, worked
from llama_orch.worker.call import Call
from llama_orch.worker.count import reply_count
from llama_orch.worker.replies import ClientGone
from llama_orch.worker.service import Service
from llama_orch.worker.terms import Terms
from llama_orch_utils.errors import InsufficientCredits, OrchError, RequestError, UnsupportedByTarget
from llama_orch_utils.types import Usage

if TYPE_CHECKING:  # numpy and llama.cpp come with the model
    import numpy as np
    from numpy.typing import NDArray

    from llama_orch.engine.embedding import Embedder

log = logging.getLogger("llama_orch.worker")
CUT = b"x-orch-truncated"
"""The header that says how many inputs were cut, because the client asked for that rather than for an error."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """A request in this model's tokens; `cut` of its inputs were too long."""

    wish: EmbeddingWish
    model: str
    texts: list[list[int]]
    cut: int

    @property
    def tokens(self) -> int:
        return sum(map(len, self.texts))


async def handle(service: Service, call: Call, route: Route) -> None:
    """Answers the call in the dialect of its route."""
    dialect = cast("PlainDialect[EmbeddingWish, Vectors]", load(route.dialect))
    begun = service.loop.time()
    terms = call.terms()
    async with admitted(service, call) as body:
        embedder = _embedder(service)
        ready = await worked(service, body, lambda: _prepare(service, call, dialect.parse(body), embedder))
        if terms.counts:
            await reply_count(call, ready.tokens)
            return
        check_amount(terms, ready.tokens)
        used = Used()
        found = await computed(service, call, embedder, ready.texts, ready.wish.where, used) if ready.texts else None
        taken = service.loop.time() - begun
        on_gpus = used.seconds

        def render() -> bytes:
            rows = [] if found is None else _rows(found, ready.wish)
            cost = cost_of(terms, ready.tokens, on_gpus)
            vectors = Vectors(ready.model, rows, ready.tokens, seconds=taken, cut=ready.cut, cost=cost)
            return dialect.answer(vectors, ready.wish)

        answer = await worked(service, body, render, heavy=ready.tokens > embedder.context)
        if ready.cut:
            log.info("%s: %d inputs were cut to %d tokens, as asked", call.id, ready.cut, embedder.context)
        told = [(CUT, str(ready.cut).encode())] if ready.cut else []
        call.usage = Usage(ready.tokens)
        await call.reply(200, answer, told, took=receipt(ready.tokens, service.loop.time() - begun, on_gpus))


async def computed(
    service: Service,
    call: Call,
    embedder: Embedder,
    texts: Sequence[Sequence[int]],
    where: Callable[[int], str],
    used: Used | None = None,
) -> NDArray[np.float32]:
    """The texts' vectors; `where` gives the JSON pointer of a text, for errors. Raises ClientGone."""
    answer: asyncio.Future[NDArray[np.float32]] = service.loop.create_future()

    def settle(found: NDArray[np.float32] | Exception) -> None:
        if answer.done():
            return
        if isinstance(found, Exception):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def done(found: NDArray[np.float32] | OrchError) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            service.loop.call_soon_threadsafe(settle, found)

    try:
        number = embedder.submit(texts, done, used)
    except RequestError as error:
        if error.param is not None and error.param[1:].isdigit():
            error.param = where(int(error.param[1:]))
        raise
    async with _watching(call, settle):
        try:
            return await answer
        finally:
            embedder.cancel(number)  # harmless when it is over


@contextlib.asynccontextmanager
async def _watching(call: Call, settle: Callable[[Exception], None]) -> AsyncGenerator[None]:
    """Tells `settle` when the client has gone."""

    async def watch() -> None:
        while (await call.receive())["type"] != "http.disconnect":
            pass
        settle(ClientGone())

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()


def receipt(tokens: int, seconds: float, computing: float) -> Receipt:
    """What the request took, for the gateway; `computing` are the GPU-seconds until the vectors were there."""
    return Receipt(
        prompt_tokens=tokens,
        first_token_seconds=seconds,
        total_seconds=seconds,
        outcome="stop",
        gpu_microseconds=_microseconds(computing),
    )


def cost_of(terms: Terms, tokens: int, computing: float) -> int | None:
    """Micro-euros for vectors of so many tokens; None where nobody charges. Never more than was reserved."""
    if terms.rates is None:
        return None
    cost = terms.rates.embedding_cost(tokens, _microseconds(computing))
    return cost if terms.amount is None else min(cost, terms.amount)


def check_amount(terms: Terms, tokens: int) -> None:
    """Raises InsufficientCredits where the texts have more tokens than was reserved for."""
    if terms.rates is not None and terms.amount is not None and terms.rates.embedding_cost(tokens) > terms.amount:
        raise InsufficientCredits(
            f"the texts have {tokens} tokens, more than was reserved for", hint="buy credits, or send less"
        )


def _microseconds(seconds: float) -> int:
    return int(seconds * 1e6)


def _embedder(service: Service) -> Embedder:
    embedder = service.embedder
    if embedder.card.pooling == "rank":
        raise UnsupportedByTarget(
            f"{service.options.name} ranks texts; it makes no embeddings",
            capability="embeddings",
            hint="POST /v1/rerank, or ask an embedding model",
        )
    return embedder


def _prepare(service: Service, call: Call, wish: EmbeddingWish, embedder: Embedder) -> _Ready:
    model = service.answer_name(wish.model, call.resolved)
    if wish.dimensions is not None:
        embedder.card.matryoshka.check(wish.dimensions, embedder.width, "/dimensions")
    texts: list[list[int]] = []
    cut = 0
    for item in wish.inputs:
        tokens = embedder.frame.text(item) if isinstance(item, str) else list(item)
        if wish.truncate and len(tokens) > embedder.context:
            tokens = embedder.frame.cut(tokens, embedder.context)
            cut += 1
        texts.append(tokens)
    return _Ready(wish, model, texts, cut)


def _rows(found: NDArray[np.float32], wish: EmbeddingWish) -> list[bytes]:
    from llama_orch.engine.embedding.vectors import normalised, shortened

    vectors = shortened(found, wish.dimensions)
    if wish.normalised:
        vectors = normalised(vectors)
    return [row.astype("<f4").tobytes() for row in vectors]
