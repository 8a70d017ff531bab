# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of an applet for a caller of the gateway: from its key to its end, whichever way it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.ledger.errors import LedgerAway
from llama_orch_utils.applets.wire import Stop
from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llama_orch.ledger.ledger import Ledger
    from llama_orch.tap.applets.door import Door, Pass
    from llama_orch.tap.applets.offer import Kept, Offer
    from llama_orch.tap.call import Call, Client
    from llama_orch.tap.tap import Tap
    from llama_orch_utils.applets.applet import Made

log = logging.getLogger("llama_orch.tap")

_LINGER, _END_SECONDS = 0.25, 5.0
"""How long the requests of a run that has ended may take to end by themselves, and after they were told to."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller asks for: `given` is the input, `most` micro-euros (None: nothing was said)."""

    name: str
    given: Mapping[str, Any]
    model: str | None
    most: int | None


class Running:
    """One run. `go` gives what it made and what it cost; after it, however it ended, nothing of the run goes on."""

    def __init__(self, tap: Tap, offer: Offer, door: Door, caller: Client, asked: Asked) -> None:
        self._tap, self._offer, self._door = tap, offer, door
        self._caller, self._asked = caller, asked
        self._stop, self._begun = Stop(), False

    async def go(self, kept: Kept) -> tuple[Made, int]:
        """Raises the errors of the run; AppletError when its time is over."""
        loop, threads = asyncio.get_running_loop(), self._offer.threads
        told = await loop.run_in_executor(threads, self._offer.told, self._asked.name, kept.applet)
        held = self._door.issue(self._caller)
        done = False
        try:
            await self._begin(held, self._cap(self._offer.cap(told.manifest)))
            async with asyncio.timeout(self._offer.seconds):
                made = await loop.run_in_executor(threads, self._invoke, kept, held)
            done = True
        except TimeoutError as error:
            words = f"applet {self._asked.name} gave no answer within {self._offer.seconds:.0f} s, and was ended"
            raise AppletError(words, hint="GET /v1/applets") from error
        finally:
            self._stop.set()  # whoever waited for it has gone
            spent = await self._offer.finishing(self._end(held, patient=done))
        return made, made.cost if spent is None else spent

    def _cap(self, bound: int | None) -> int | None:
        given = [each for each in (bound, self._asked.most) if each is not None]
        return min(given, default=None)

    async def _begin(self, held: Pass, most: int | None) -> None:
        """Where money is charged: the ledger holds the run to its cap, whatever the applet does."""
        if self._ledger is not None:
            assert most is not None, "a tap bounds every run"
            who, seconds = held.client, self._offer.seconds + _END_SECONDS
            await self._ledger.begin_run(held.run, who.account, who.key, self._asked.name, most, seconds)
            self._begun = True

    def _invoke(self, kept: Kept, held: Pass) -> Made:
        """In a thread."""
        from llama_orch_utils.applets.files import Files
        from llama_orch_utils.client.blocking import Client as Asking

        with Asking(self._door.url, key=held.text, model=self._asked.model) as client:
            return kept.applet.invoke(
                self._asked.given, client=client, files=Files(), brand=kept.brand, max_cost=self._asked.most,
                stop=self._stop,
            )  # fmt: skip

    async def _end(self, held: Pass, *, patient: bool) -> int | None:
        """Ends what the run still asks, and its key; what it has spent, where that is known."""
        self._door.withdraw(held)
        if patient:  # it has its answers: their requests end by themselves in a moment
            await self._gone(held, _LINGER)
        for call in self._calls(held):
            call.abandon()
        await self._tap.responses.forget(held.run)
        await self._gone(held, _END_SECONDS)
        if self._ledger is None or not self._begun:
            return None
        try:
            return (await self._ledger.end_run(held.run, held.client.account)).spent
        except LedgerAway as error:  # the key is worth nothing any more, and its time ends
            log.warning("the end of run %s could not be written: %s", held.run, error.message)
        return None

    async def _gone(self, held: Pass, seconds: float) -> None:
        """Waits for the run's requests to be over."""
        deadline = time.monotonic() + seconds
        while self._calls(held) and time.monotonic() < deadline:  # noqa: ASYNC110 - their end is no event
            await asyncio.sleep(0.005)

    def _calls(self, held: Pass) -> list[Call]:
        return [call for call in self._tap.calls if call.client.run == held.run]

    @property
    def _ledger(self) -> Ledger | None:
        return self._tap.ledger
