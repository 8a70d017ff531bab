# SPDX-License-Identifier: GPL-3.0-or-later
"""A background response as a stream: what it said so far, and what it goes on to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llama_orch.tap.responses.refusals import not_background
from llama_orch.tap.responses.run import Run
from llama_orch.tap.responses.store import StoredResponse
from llama_orch.wire.dialect import EVENTS, PING
from llama_orch.wire.responses.stream import DONE
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch.tap.call import Call

_OK = 200
_SILENCE = 10.0
_HEADERS = (
    (b"content-type", EVENTS + b"; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


async def follow(call: Call, response: Run | StoredResponse, at: int) -> None:
    """Streams the events from number `at` on. Raises BadRequest where they were not kept."""
    if isinstance(response, StoredResponse) and not response.background:
        raise not_background("streamed again")
    if response.events is None:
        raise _too_many()
    await call.start(_OK, _HEADERS)
    if isinstance(response, Run):
        at = await _live(call, response, at)
    await _last(call, response, at)
    await call.end()


async def _last(call: Call, response: Run | StoredResponse, at: int) -> None:
    """What is left; a stream whose events became too many ends short of its end."""
    if response.events is not None:
        await _rest(call, response.events, at)
        await call.write(DONE)


async def _live(call: Call, run: Run, at: int) -> int:
    while not run.over and run.events is not None:
        at = await _rest(call, run.events, at)
        if not run.over and at >= len(run.events) and not await run.news(_SILENCE):
            await call.write(PING)
    return at


async def _rest(call: Call, events: Sequence[bytes], at: int) -> int:
    frames = events[at:]  # while they are written, more may come
    if frames:
        await call.write(b"".join(frames))
    return at + len(frames)


def _too_many() -> BadRequest:
    return BadRequest("this response has more events than are kept", param="/stream", hint="ask for it without stream")
