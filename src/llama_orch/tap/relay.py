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
from llama_orch.tap.phases import refuse_unless_ready
from llama_orch.tap.taking import Taker
from llama_orch.tap.upstream import UpstreamBroken, UpstreamConnection
from llama_orch.tap.wanted import model_of
from llama_orch.wire import receipt as receipts
from llama_orch.wire.receipt import Receipt
from llama_orch_utils.errors import EngineFailed, OrchError

if TYPE_CHECKING:
    from llama_orch.tap.tap import Observer, Tap

_OK = 200
_HELD_BACK = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server", b"x-orch-request-id", receipts.HEADER)
)
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
        self._receipt: Receipt | None = None
        self._outcome = "cancelled"

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
        self._outcome = error.code
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
            if last:
                raise failure or _unreachable(lease.model) from error
            return False
        try:
            await upstream.ask(self._head(lease), self._body)
            await self._answer(upstream)
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

    async def _answer(self, upstream: UpstreamConnection) -> None:
        self._early.enough()
        if self._call.status:
            if upstream.status != _OK:
                raise await _error_of(upstream)
        else:
            headers = [pair for pair in upstream.headers if pair[0] not in _HELD_BACK]
            await self._call.start(upstream.status, headers)
        self._outcome = "stop" if upstream.status == _OK else f"http_{upstream.status}"
        streamed = True
        for name, value in upstream.headers:
            if name == b"content-length":
                streamed = False
            elif name == receipts.HEADER:
                self._receipt = _parsed(value)
        if streamed:
            self._early.streaming = True
            await self._stream(upstream)
        else:
            await self._whole(upstream)

    async def _whole(self, upstream: UpstreamConnection) -> None:
        while chunk := await upstream.read():
            if self._observer is not None:
                self._observer(chunk)
            await self._call.write(chunk, more=not upstream.ended)
        if not self._call.finished:
            await self._call.end()

    async def _stream(self, upstream: UpstreamConnection) -> None:
        taker = Taker()
        while chunk := await upstream.read():
            chunk = taker.push(chunk)
            if chunk:
                if self._observer is not None:
                    self._observer(chunk)
                await self._call.write(chunk)
        rest = taker.flush()
        if rest and self._observer is not None:
            self._observer(rest)
        self._receipt = taker.receipt
        await self._call.write(rest, more=False)

    def _record(self) -> None:
        found = self._receipt or Receipt(outcome=self._outcome)
        waited = self._waited
        if waited > 0.0005:  # noqa: PLR2004 - half a millisecond is none
            first = found.first_token_seconds and found.first_token_seconds + waited
            found = replace(found, queue_seconds=found.queue_seconds + waited, first_token_seconds=first)
        self._tap.metrics.record(self._route, self._model, found, time.monotonic() - self._begun)


def _parsed(value: bytes) -> Receipt | None:
    try:
        return receipts.parse(value)
    except ValueError:
        return None


def _unreachable(model: str) -> EngineFailed:
    return EngineFailed(f"the connection to the worker of {model} broke", hint="try again", code="worker_died")


async def _error_of(upstream: UpstreamConnection) -> OrchError:
    """The error that a worker's answer is, for a stream that has begun already."""
    from llama_orch_utils.client.failure import error_of
    from llama_orch_utils.transport.exchange import Head

    parts: list[bytes] = []
    while chunk := await upstream.read():
        parts.append(chunk)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in upstream.headers}
    return error_of(Head(upstream.status, headers), b"".join(parts), "the worker")
