# SPDX-License-Identifier: GPL-3.0-or-later
"""The jobs of `POST /tokenize` and `POST /detokenize`, for every model."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from llama_orch.wire.detokenize.request import DetokenizeWish
from llama_orch.wire.plain_dialect import PlainDialect
from llama_orch.wire.routes import Route, load
from llama_orch.wire.tokenize.answer import Tokenized
from llama_orch.wire.tokenize.request import TokenizeWish
from llama_orch.worker.admitted import admitted, worked
from llama_orch.worker.call import Call
from llama_orch.worker.service import Service
from llama_orch_utils.errors import RequestError

if TYPE_CHECKING:
    from llama_orch.engine.vocabulary import Vocabulary


async def tokenize(service: Service, call: Call, route: Route) -> None:
    """Text to tokens."""
    dialect = cast("PlainDialect[TokenizeWish, Tokenized]", load(route.dialect))
    async with admitted(service, call) as body:

        def work() -> bytes:
            wish = dialect.parse(body)
            service.answer_name(wish.model, call.resolved)
            return dialect.answer(_tokenized(service.either.vocabulary, wish), wish)

        await call.reply(200, await worked(service, body, work))


async def detokenize(service: Service, call: Call, route: Route) -> None:
    """Tokens to text: what they say one after the other, control tokens by name."""
    dialect = cast("PlainDialect[DetokenizeWish, str]", load(route.dialect))
    async with admitted(service, call) as body:

        def work() -> bytes:
            wish = dialect.parse(body)
            service.answer_name(wish.model, call.resolved)
            vocabulary = service.either.vocabulary
            for index, token in enumerate(wish.tokens):
                _check(vocabulary, token, f"/tokens/{index}")
            return dialect.answer(vocabulary.detokenize(wish.tokens, special=True).decode("utf-8", "replace"), wish)

        await call.reply(200, await worked(service, body, work))


def _tokenized(vocabulary: Vocabulary, wish: TokenizeWish) -> Tokenized:
    from llama_orch.engine.embedding.frame import surroundings

    ids: list[int] = []
    for index, part in enumerate(wish.content):
        if isinstance(part, int):
            _check(vocabulary, part, wish.where(index))
            ids.append(part)
        else:
            ids += vocabulary.tokenize(part, special=wish.parse, add_bos=False)
    if wish.special:
        before, after = surroundings(vocabulary)
        ids = [*before, *ids, *after]
    return Tokenized(ids, [vocabulary.label(one) for one in ids] if wish.pieces else ())


def _check(vocabulary: Vocabulary, token: int, where: str) -> None:
    try:
        vocabulary.check((token,))
    except RequestError as error:
        error.param = where
        raise
