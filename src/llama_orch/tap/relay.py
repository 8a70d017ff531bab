# SPDX-License-Identifier: GPL-3.0-or-later
"""A request on its way to whatever answers it, and the answer on its way back, byte for byte."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from llama_orch.tap.call import Call
from llama_orch.tap.phases import refuse_unless_ready
from llama_orch.tap.routing.counting import counter_of
from llama_orch.tap.routing.errand import Errand
from llama_orch.tap.routing.local import WorkerTries
from llama_orch.tap.wanted import document_of, name_in
from llama_orch.wire.receipt import Receipt
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.tap.routing import Routed, Routing
    from llama_orch.tap.routing.asking import Document
    from llama_orch.tap.tap import Observer, Tap


async def handle(tap: Tap, call: Call) -> None:
    """The route of everything that a worker answers."""
    body = await call.body()
    document = document_of(body)
    await Relay(tap, call, body, name_in(document), None, document).run()


class Relay:
    """One request. `run` raises while nothing was sent; afterwards it ends the answer in the dialect's own way."""

    def __init__(
        self,
        tap: Tap,
        call: Call,
        body: bytes,
        model: str | None,
        observer: Observer | None,
        document: Document | None = None,
    ) -> None:
        self._tap, self._call = tap, call
        self._errand = Errand(tap, call, body, model, observer)
        if document is not None:
            self._errand.document = document

    async def run(self) -> None:
        """From the body to the last byte of the answer."""
        self._call.on_tick = self._errand.early.tick
        try:
            refuse_unless_ready(self._tap.phase)
            await self._answered()
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
            self._errand.going = None  # it knows the errand: a circle would be left to the garbage collector, 8 µs

    async def _answered(self) -> None:
        errand, routing = self._errand, self._tap.routing
        if routing is None:  # orch serve: the fleet is all there is
            await WorkerTries(errand, errand.name).run()
            return
        routed = routing.find(errand.name)
        routed.usable(errand.route.path)
        errand.model = routed.spec.name
        admission = self._tap.admission
        if admission is None:
            await routing.answer(errand, routed)
            return
        await self._paid(routing, routed)

    async def _paid(self, routing: Routing, routed: Routed) -> None:
        """The same between admission and settlement."""
        errand, admission = self._errand, self._tap.admission
        assert admission is not None, "asked only where there is one"
        admitted = await admission.admit(
            errand.call,
            errand.body,
            routed.spec.name,
            context=routed.context(self._tap.fleet),
            count=counter_of(errand, routed),
            document=errand.document,
        )
        async with admitted:
            errand.money = admitted
            await routing.answer(errand, routed)

    async def _failed(self, error: OrchError) -> None:
        self._errand.outcome = error.code
        if self._errand.going is not None:
            self._errand.going.outcome = error.code
        frames = await self._errand.early.fail(error)
        if frames is None:
            raise error
        if self._errand.observer is not None:
            self._errand.observer(frames)

    def _record(self) -> None:
        errand = self._errand
        going = errand.going
        found = going.receipt if going is not None else None
        found = found or Receipt(outcome=errand.outcome if going is None else going.outcome)
        waited = errand.waited
        if waited > 0.0005:  # noqa: PLR2004 - half a millisecond is none
            first = found.first_token_seconds and found.first_token_seconds + waited
            found = replace(found, queue_seconds=found.queue_seconds + waited, first_token_seconds=first)
        self._tap.metrics.record(errand.route, errand.model, found, time.monotonic() - errand.begun)
