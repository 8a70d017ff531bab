# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer of a server elsewhere on its way to the client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from llama_orch.ledger.records import Usage
from llama_orch.tap.routing import refusals
from llama_orch.tap.routing.asking import wants_usage
from llama_orch.tap.routing.breaker import Ticket
from llama_orch.tap.routing.errand import Elsewhere, Errand
from llama_orch.tap.routing.sieve import Sieve, TooLong
from llama_orch.tap.routing.usage import Told, receipt_of
from llama_orch.tap.upstream import UpstreamBroken, UpstreamConnection
from llama_orch.wire.receipt import Receipt

_NOTED = 16
"""Events between two notes of what has been delivered, which a crash is settled from."""
Count = Callable[[], Awaitable[int]]
PARTIAL = b": x-orch-partial\n\n"
"""What goes before the error that ends a stream: what came before it is a part of an answer, and is billed."""
_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class ForeignStream:
    """A stream of server-sent events. `receipt` and `outcome` tell how it went, as far as it went."""

    def __init__(self, errand: Errand, model: str, ticket: Ticket, count: Count) -> None:
        self.receipt: Receipt | None = None
        self.outcome = "cancelled"
        self._errand, self._model, self._ticket, self._count = errand, model, ticket, count
        cost = None if errand.money is None else self._cost
        self._sieve = Sieve(model, wanted=wants_usage(errand.document), cost=cost)
        self._first = 0.0

    async def run(self, upstream: UpstreamConnection) -> None:
        """Hands it on. Raises Elsewhere while nothing went out, then the error that ends it; settles before its end."""
        try:
            await self._run(upstream)
        except (UpstreamBroken, TooLong) as broken:
            silent = isinstance(broken, UpstreamBroken) and broken.silent
            await self._broke(upstream, silent=silent)
        except asyncio.CancelledError:
            upstream.abort()
            await self._settle("cancelled")
            raise

    async def _run(self, upstream: UpstreamConnection) -> None:
        call, sieve, observer = self._errand.call, self._sieve, self._errand.observer
        money, noted = self._errand.money, 0
        while not sieve.done and (chunk := await upstream.read()):
            chunk = sieve.push(chunk)
            if chunk:
                if not self._first:
                    await self._begin()
                if observer is not None:
                    observer(chunk)
                await call.write(chunk)
                if money is not None and sieve.events - noted >= _NOTED:
                    noted = sieve.events
                    money.delivered = Usage(0, 0, noted, partial=True)
        if not sieve.done and sieve.usage is None and not sieve.outcome and not sieve.failed:
            raise UpstreamBroken(begun=True)
        if not self._first:
            await self._begin()
        await self._settle(sieve.outcome or ("upstream_failed" if sieve.failed else "stop"))
        await call.write(sieve.last(), more=False)

    async def _begin(self) -> None:
        """The first event: from here on no other upstream can take over."""
        errand = self._errand
        self._first = time.monotonic()
        self._ticket.good()
        errand.going = self
        errand.early.enough()
        if not errand.call.status:
            await errand.call.start(200, _STREAM)
        errand.early.streaming = True

    async def _broke(self, upstream: UpstreamConnection, *, silent: bool) -> None:
        self._ticket.bad()
        seconds = upstream.patience
        if not self._first:
            error = refusals.silent(self._model, "first_token", seconds) if silent else refusals.broke(self._model)
            raise Elsewhere(error)
        error = refusals.silent(self._model, "between_tokens", seconds) if silent else refusals.broke(self._model)
        await self._settle(error.code)
        await self._errand.call.write(PARTIAL)
        raise error

    def _cost(self, told: Told) -> int | None:
        return None if self._errand.money is None else self._errand.money.cost(receipt_of(told, ""))

    async def _settle(self, outcome: str) -> None:
        """Tells the bill what came: what the server says, else the events that went out."""
        if self.receipt is not None or not self._first:
            return
        self.outcome = outcome
        told: Told | None = self._sieve.usage
        found = receipt_of(told, outcome)
        if told is None:
            found = Receipt(await self._count(), 0, self._sieve.events, outcome=outcome)
        self.receipt = timed(found, self._errand, self._first)
        if self._errand.money is not None:
            await self._errand.money.settle(self.receipt, partial=told is None)


def timed(receipt: Receipt, errand: Errand, first: float) -> Receipt:
    """The receipt with its times, as the gateway saw them; `first` is the moment of the first token."""
    now = time.monotonic()
    between = (now - first) / (receipt.output_tokens - 1) if receipt.output_tokens > 1 else 0.0
    return Receipt(
        receipt.prompt_tokens,
        receipt.cached_tokens,
        receipt.output_tokens,
        0.0,
        max(0.0, first - errand.begun - errand.waited),
        between,
        now - errand.begun,
        receipt.outcome,
    )
