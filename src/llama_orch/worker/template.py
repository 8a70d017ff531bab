# SPDX-License-Identifier: GPL-3.0-or-later
"""The job of `POST /apply-template`: a conversation as the model's chat template writes it."""

from __future__ import annotations

from typing import cast

from llama_orch.wire.generation import Chat, Generation
from llama_orch.wire.plain_dialect import PlainDialect
from llama_orch.wire.routes import Route, load
from llama_orch.worker import pictures
from llama_orch.worker.admitted import admitted, worked
from llama_orch.worker.call import Call
from llama_orch.worker.service import Service
from llama_orch.worker.translation import prompts_of


async def handle(service: Service, call: Call, route: Route) -> None:
    """The prompt that a chat with the same body would go on from."""
    dialect = cast("PlainDialect[Generation, str]", load(route.dialect))
    async with admitted(service, call) as body:

        def work() -> bytes:
            wish = dialect.parse(body)
            service.answer_name(wish.model, call.resolved)
            return dialect.answer(_prompt(service, wish), wish)

        await call.reply(200, await worked(service, body, work))


def _prompt(service: Service, wish: Generation) -> str:
    from llama_orch.engine.embedding import Embedder

    loaded = service.either
    if not isinstance(loaded, Embedder):
        return prompts_of(loaded, wish)[0].opened
    chat = wish.prompts[0]
    assert isinstance(chat, Chat)
    turns, seen = pictures.marked(chat.turns)
    return pictures.shown(loaded.template.render(turns), seen) + (chat.prefill or "")
