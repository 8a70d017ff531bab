# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer before the answer: comments that keep a stream's connection alive while it waits, and its end by an error.

A stream that waits for its model or its turn is begun by the gateway itself, so that no time-out on the way cuts it;
the worker's own head is then left out, and an error becomes the dialect's last frame.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from llama_orch.tap.call import Call
from llama_orch.wire import envelope
from llama_orch.wire.generation import Head
from llama_orch.wire.routes import load
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.wire.dialect import Dialect

_OK = 200
_FIXED = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))


class Early:
    """Belongs to one relayed request. `streaming`: its answer is a stream, and has begun."""

    def __init__(self, call: Call, body: bytes, ping: float) -> None:
        self._call, self._body, self._ping = call, body, ping
        self._last = time.monotonic()
        self._over = call.route is None or call.route.job != "generate"
        self._task: asyncio.Task[None] | None = None
        self.streaming = False

    def tick(self, now: float) -> None:
        """Sends a comment if nothing was sent for long enough; called now and then, `now` by the monotonic clock."""
        if self._over or now - self._last < self._ping or self._call.stuck:
            return
        self._last = now
        self._task = asyncio.get_running_loop().create_task(self._comment())

    def enough(self) -> None:
        """The worker answers: from here on it keeps the connection alive itself."""
        self._over = True

    async def fail(self, error: OrchError) -> bytes | None:
        """Ends a stream by `error`; what was sent for it, None where no stream has begun."""
        self._over = True
        if not self.streaming:
            return None
        if self._call.finished:
            return b""
        frames = self._frames(error)
        await self._call.write(frames, more=False)
        return frames

    async def _comment(self) -> None:
        # No await below suspends: the connection takes more, so nothing else is written in between.
        dialect = self._dialect()
        if self._over or not dialect.ping:
            return
        if not self.streaming:
            try:
                generation = dialect.parse(self._body)
            except OrchError as error:
                self._call.cut(error)
                return
            if not generation.stream:
                self._over = True
                return
            self.streaming = True
            await self._call.start(_OK, ((b"content-type", dialect.media + b"; charset=utf-8"), *_FIXED))
        await self._call.write(dialect.ping)

    def _dialect(self) -> Dialect:
        assert self._call.route is not None
        return load(self._call.route.dialect)

    def _frames(self, error: OrchError) -> bytes:
        dialect = self._dialect()
        try:
            generation = dialect.parse(self._body)
        except OrchError:
            return envelope.sse(error)
        head = Head(dialect.id_prefix + self._call.id, generation.model or "", int(time.time()))
        return dialect.stream(head, generation).fail(error)
