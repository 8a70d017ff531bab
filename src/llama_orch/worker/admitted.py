# SPDX-License-Identifier: GPL-3.0-or-later
"""What every request that needs the model goes through: a place, the keep-alive, its body."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from typing import TypeVar

from llama_orch.worker.call import Call
from llama_orch.worker.replies import read_body
from llama_orch.worker.service import Service

INLINE_BODY = 8 * 1024
"""A body up to this size is rendered and tokenised on the event loop: a thread would cost more than it saves."""
Result = TypeVar("Result")


@contextlib.asynccontextmanager
async def admitted(service: Service, call: Call) -> AsyncGenerator[bytes]:
    """The request's body, for as long as the request has a place here.

    Raises EngineFailed (503: nobody waits here for a model to load), RateLimited, and what `read_body` raises.
    """
    _ = service.either
    service.admission.enter()
    service.lifetime.begin()
    begun = service.loop.time()
    try:
        yield await read_body(call.scope, call.receive, service.options.max_body)
    finally:
        service.admission.leave(service.loop.time() - begun)
        service.lifetime.finish()


async def worked(service: Service, body: bytes, work: Callable[[], Result], *, heavy: bool = False) -> Result:
    """What `work` gives: here and now for a small body, else in a thread; another one for images."""
    if b"image" in body:
        return await service.loop.run_in_executor(service.reading, work)
    if len(body) <= INLINE_BODY and not heavy and b"\\u" not in body:  # which may spell it
        return work()
    return await service.loop.run_in_executor(service.preparation, work)
