# SPDX-License-Identifier: GPL-3.0-or-later
"""How many tokens a request's prompt has, without generating anything."""

from __future__ import annotations

from llama_orch.wire.routes import Route, load
from llama_orch.worker.admitted import admitted, worked
from llama_orch.worker.call import Call
from llama_orch.worker.service import Service
from llama_orch.worker.translation import prompts_of


async def handle(service: Service, call: Call, route: Route) -> None:
    """The count, in the dialect's own form: exactly what the same body would be charged for as its input."""
    await call.reply(200, load(route.dialect).count(await _count(service, call, route)))


async def counted(service: Service, call: Call, route: Route) -> None:
    """The count for a gateway, in the same form for every dialect that generates."""
    await reply_count(call, await _count(service, call, route))


async def reply_count(call: Call, tokens: int) -> None:
    """`{"input_tokens": …}`."""
    await call.reply(200, b'{"input_tokens": %d}' % tokens)


async def _count(service: Service, call: Call, route: Route) -> int:
    dialect = load(route.dialect)

    async with admitted(service, call) as body:

        def count() -> int:
            generation = dialect.parse(body)
            service.answer_name(generation.model, call.resolved)
            return sum(len(prompt.tokens) for prompt in prompts_of(service.engine, generation))

        return await worked(service, body, count)
