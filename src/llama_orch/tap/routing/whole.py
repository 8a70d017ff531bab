# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer of a server elsewhere that is one JSON document: held until it is whole, so that another may still answer.

A very long one (embeddings of a whole batch) passes in pieces; what its end says of the usage is kept back for that.
"""

from __future__ import annotations

import asyncio
import re
import time

from llama_orch.tap.routing import refusals
from llama_orch.tap.routing import usage as usages
from llama_orch.tap.routing.breaker import Ticket
from llama_orch.tap.routing.errand import Elsewhere, Errand
from llama_orch.tap.routing.foreign import timed
from llama_orch.tap.routing.splice import quoted
from llama_orch.tap.upstream import UpstreamBroken, UpstreamConnection
from llama_orch.wire.receipt import Receipt

HELD = 1024 * 1024
_TAIL = 64 * 1024
_JSON = b"application/json"
_MODEL = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.)*)"')
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"(\w{1,32})"')


class ForeignWhole:
    """One document. `receipt` and `outcome` tell how it went."""

    def __init__(self, errand: Errand, model: str, ticket: Ticket) -> None:
        self.receipt: Receipt | None = None
        self.outcome = "cancelled"
        self._errand, self._model, self._ticket = errand, model, ticket
        self._name = quoted(model)

    async def run(self, upstream: UpstreamConnection) -> None:
        """Hands it on. Raises Elsewhere while nothing went out."""
        parts: list[bytes] = []
        size = 0
        try:
            while size <= HELD and (chunk := await upstream.read()):
                parts.append(chunk)
                size += len(chunk)
        except UpstreamBroken as broken:
            self._ticket.bad()
            seconds = upstream.patience
            error = refusals.silent(self._model, "total", seconds) if broken.silent else refusals.broke(self._model)
            raise Elsewhere(error) from broken
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._check(body)
        self._ticket.good()
        self._errand.going = self
        self._errand.early.enough()
        body = self._named(body)
        if upstream.ended:
            await self._reply(body)
        else:
            await self._pass(upstream, body)

    def _check(self, body: bytes) -> None:
        if self._errand.call.status or not body.lstrip().startswith(b"{"):
            self._ticket.bad()
            raise Elsewhere(refusals.nonsense(self._model))

    async def _reply(self, body: bytes) -> None:
        body = await self._settled(body)
        self._see(body)
        await self._errand.call.reply(200, body)

    async def _pass(self, upstream: UpstreamConnection, held: bytes) -> None:
        call = self._errand.call
        await call.start(200, ((b"content-type", _JSON),))
        try:
            while chunk := await upstream.read():
                held += chunk
                if len(held) > 2 * _TAIL:
                    out, held = held[:-_TAIL], held[-_TAIL:]
                    self._see(out)
                    await call.write(out)
        except UpstreamBroken as broken:
            self._ticket.bad()
            raise refusals.broke(self._model) from broken
        except asyncio.CancelledError:
            await self._settled(b"")
            raise
        held = await self._settled(held)
        self._see(held)
        await call.write(held, more=False)

    async def _settled(self, body: bytes) -> bytes:
        """The document, or its end, with its cost told; billed."""
        found = usages.told(body)
        reason = _FINISH.search(body)
        self.outcome = reason[1].decode() if reason is not None else "stop"
        receipt = usages.receipt_of(None if found is None else found[0], self.outcome)
        money = self._errand.money
        if money is not None:
            cost = None if found is None else money.cost(receipt)
            if found is not None and cost is not None:
                body = usages.with_cost(body, found[2], cost)
        self.receipt = timed(receipt, self._errand, time.monotonic())
        if money is not None:
            await money.settle(self.receipt, partial=found is None)
        return body

    def _named(self, body: bytes) -> bytes:
        """The document with the model's name as the client knows it."""
        found = _MODEL.search(body)
        if found is None:
            return body
        start, end = found.start(1) - 1, found.end(1) + 1
        return body if body[start:end] == self._name else body[:start] + self._name + body[end:]

    def _see(self, body: bytes) -> None:
        if self._errand.observer is not None and body:
            self._errand.observer(body)
