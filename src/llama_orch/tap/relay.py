# SPDX-License-Identifier: GPL-3.0-or-later
"""A request on its way to a worker, and the answer on its way back, byte for byte."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from llama_orch.pool.fleet import Lease
from llama_orch.tap.call import Call
from llama_orch.tap.early import Early
from llama_orch.tap.passage import Passage
from llama_orch.tap.phases import refuse_unless_ready
from llama_orch.tap.upstream import UpstreamBroken
from llama_orch.tap.wanted import model_of
from llama_orch.wire.receipt import Receipt
from llama_orch_utils.errors import EngineFailed, OrchError

if TYPE_CHECKING:
    from llama_orch.tap.tap import Observer, Tap

_HANDED_ON = (b"anthropic-version", b"anthropic-beta")
_HEAD = b"\r\n".join(
    (
        b"POST %b HTTP/1.1",
        b"host: localhost",
        b"content-type: application/json",
        b"content-length: %d",
        b"x-orch-request-id: %b",
        b"x-orch-model: %b",
        b"x-orch-receipt: 1",
        b"",
    )
)
_TRIES = 2


async def handle(tap: Tap, call: Call) -> None:
    """The route of everything that a worker answers."""
    body = await call.body()
    await tap.forward(call, body, model_of(body))


class Relay:
    """One request. `run` raises while nothing was sent; afterwards it ends the answer in the dialect's own way."""

    def __init__(self, tap: Tap, call: Call, body: bytes, model: str | None, observer: Observer | None) -> None:
        assert call.route is not None, "the app gives every call its route"
        self._tap, self._call, self._body = tap, call, body
        self._name = model
        self._observer = observer
        self._route = call.route
        self._model: str | None = None
        self._early = Early(call, body, tap.options.ping)
        self._begun = time.monotonic()
        self._waited = 0.0
        self._passage = Passage(call, self._early, observer)

    async def run(self) -> None:
        """From the body to the last byte of the answer."""
        self._call.on_tick = self._early.tick
        try:
            refuse_unless_ready(self._tap.phase)
            await self._leased()
        except OrchError as error:
            await self._failed(error)
        except asyncio.CancelledError:
            error = self._call.take_ending()
            if error is None:
                raise
            await self._failed(error)
        finally:
            self._call.on_tick = None
            self._record()

    async def _failed(self, error: OrchError) -> None:
        self._passage.outcome = error.code
        frames = await self._early.fail(error)
        if frames is None:
            raise error
        if self._observer is not None:
            self._observer(frames)

    async def _leased(self) -> None:
        for left in range(_TRIES - 1, -1, -1):
            lease = await self._lease()
            try:
                self._model = lease.model
                queue = self._tap.lanes.of(lease.model, self._route.job, lease.slots)
                await queue.enter(self._call.client)
                entered = time.monotonic()
                self._waited = entered - self._begun
                try:
                    if await self._asked(lease, last=not left):
                        return
                finally:
                    queue.leave(time.monotonic() - entered)
            finally:
                lease.release()

    async def _lease(self) -> Lease:
        lanes, client = self._tap.lanes, self._call.client
        lanes.enter_lobby(client)
        try:
            return await self._tap.fleet.lease(self._name, wait=self._tap.options.load_wait)
        finally:
            lanes.leave_lobby(client)

    async def _asked(self, lease: Lease, *, last: bool) -> bool:
        """Whether the worker took the request; False: it had gone before, and another one may be tried."""
        try:
            upstream = await self._tap.pool.acquire(lease.socket)
        except OSError as error:
            failure = await lease.failure()
            if failure is None:
                lease.broken()  # it lives and takes no connections
            if last:
                raise failure or _unreachable(lease.model) from error
            return False
        try:
            await upstream.ask(self._head(lease), self._body)
            await self._passage.run(upstream)
        except UpstreamBroken as broken:
            raise (await lease.failure()) or _unreachable(lease.model) from broken
        finally:
            self._tap.pool.release(lease.socket, upstream)
        return True

    def _head(self, lease: Lease) -> bytes:
        given, path = self._call.headers, self._route.path.encode()
        head = _HEAD % (path, len(self._body), self._call.id.encode(), lease.model.encode())
        for name in _HANDED_ON:
            if name in given:
                head += b"%b: %b\r\n" % (name, given[name])
        return head + b"\r\n"

    def _record(self) -> None:
        found = self._passage.receipt or Receipt(outcome=self._passage.outcome)
        waited = self._waited
        if waited > 0.0005:  # noqa: PLR2004 - half a millisecond is none
            first = found.first_token_seconds and found.first_token_seconds + waited
            found = replace(found, queue_seconds=found.queue_seconds + waited, first_token_seconds=first)
        self._tap.metrics.record(self._route, self._model, found, time.monotonic() - self._begun)


def _unreachable(model: str) -> EngineFailed:
    return EngineFailed(
        f"the connection to the worker of {model} broke", code="worker_died", retry_after=1, hint="try again"
    )
