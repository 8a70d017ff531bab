# SPDX-License-Identifier: GPL-3.0-or-later
"""One admitted request: its terms, and its end, which is settled or released exactly once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from llama_orch.ledger.costs import cost
from llama_orch.ledger.ending import ELSEWHERE
from llama_orch.ledger.records import Charge, Reservation, Usage
from llama_orch.tap.admission import cancelling
from llama_orch.tap.admission.asked import Asked
from llama_orch.tap.admission.entry import Entry
from llama_orch.tap.upstream import UpstreamBroken
from llama_orch.wire import price
from llama_orch.wire.price import Rates
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.tap.admission.crowd import Place
    from llama_orch.tap.admission.settling import Settling
    from llama_orch.tap.routing.occupancy import Occupancy, Stay
    from llama_orch.tap.upstream import Pool
    from llama_orch.wire.receipt import Receipt

log = logging.getLogger("llama_orch.tap")

_TERMS = b"x-orch-limit: %d\r\nx-orch-amount: %d\r\nx-orch-price: %b\r\nx-orch-salt: %b\r\nx-orch-ticket: %b\r\n"
OnCharge = Callable[[Charge], None]
_FREE = "nothing is charged for this route"


class Admitted:
    """Belongs to one request, between its reservation and its end.

    `limit` is the number of output tokens that are paid for (None: it makes none), `ticket` its name at a worker of
    ours. With `async with`, what is still open at the end is ended. A second at a server elsewhere, which tells no time
    of its own, is `gpus` GPU-seconds, divided among those who are there at once.
    """

    def __init__(
        self, settling: Settling, pool: Pool, reservation: Reservation, asked: Asked, entry: Entry, place: Place
    ) -> None:
        self._settling, self._pool, self._place = settling, pool, place
        self._reservation, self._asked, self._entry = reservation, asked, entry
        self.ticket = str(reservation.id)
        self.limit = reservation.max_tokens if asked.kind == "generate" else None
        self.socket = ""
        self.gpus = 1
        self._stay: Stay | None = None
        self.delivered: Usage | None = None
        self.sent = self.cutting = self._moved = False
        self.on_charge: OnCharge | None = None
        self._open = True

    @property
    def reservation(self) -> Reservation:
        """What the ledger holds for it."""
        return self._reservation

    @property
    def ended(self) -> bool:
        """Whether it was settled or released."""
        return not self._open

    def began(self, socket: str = "", occupancy: Occupancy | None = None) -> None:
        """The request leaves for the worker at `socket`, or for a server elsewhere, whose `occupancy` is shared."""
        self._moved = self._moved or (bool(self.socket) and not socket)
        self.socket, self.sent = socket, True
        self._left()
        self._stay = None
        if occupancy is not None and self._reservation.price.gpu_second:
            self._stay = occupancy.enter()

    def cost(self, receipt: Receipt) -> int | None:
        """What a receipt's usage costs, in micro-euros, and never more than was reserved; None: it is free."""
        if self._asked.kind == "none":
            return None
        return min(self._tariff(self._usage(receipt, partial=False)), self._reservation.amount)

    async def settle(self, receipt: Receipt, *, partial: bool = False) -> Charge | None:
        """Charges what a receipt says; `partial`: the counts are what was delivered, for nobody told the usage.

        None where the database is away: it is charged as soon as that is back. Harmless when repeated.
        """
        if not self._open:
            return None
        if self._asked.kind == "none":
            await self.release(_FREE)
            return None
        self._open = False
        usage = self._usage(receipt, partial=partial)
        self._note(usage, receipt)
        outcome = receipt.outcome or "stop"
        if self._moved:  # what the worker counted, if it lives, is not what is settled
            outcome = f"{outcome}; {ELSEWHERE}"
        charge = await self._settling.settle(self._reservation.id, usage, outcome)
        self._entry.cost = charge.cost if charge is not None else min(self._tariff(usage), self._reservation.amount)
        if self.on_charge is not None and charge is not None:
            self.on_charge(charge)
        return charge

    async def release(self, why: str) -> None:
        """Gives the whole reservation back. Harmless when repeated."""
        if self._open:
            self._open = False
            self._entry.outcome = self._entry.outcome or why
            await self._settling.release(self._reservation.id, why)

    async def cancel(self) -> bool:
        """Tells the worker to stop: what it counted comes at the end of its answer. False where nobody is told."""
        if not self.socket:
            return False
        try:
            return await cancelling.cancel(self._pool, self.socket, self.ticket)
        except (OSError, UpstreamBroken, ValueError, KeyError):
            return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._settling.forget(self)
        self._place.leave()
        self._left()
        if self._open and not self.cutting:  # else whoever cuts it ends it
            await asyncio.shield(self._end(error))

    async def _end(self, error: BaseException | None) -> None:
        """Nobody settled it: nothing was delivered, or nobody knows what."""
        if isinstance(error, OrchError):
            why = error.code
        elif isinstance(error, asyncio.CancelledError):
            why = "cancelled"
        else:
            why = "no answer" if error is None else "internal"
        await self.release(why)

    def _usage(self, receipt: Receipt, *, partial: bool) -> Usage:
        gpu = receipt.gpu_microseconds or self._time_elsewhere()
        if self._asked.kind == "embed":
            return Usage(0, 0, 0, receipt.prompt_tokens, gpu, partial)
        counts = receipt.prompt_tokens, receipt.cached_tokens, receipt.output_tokens
        return Usage(*counts, gpu_microseconds=gpu, partial=partial)

    def _time_elsewhere(self) -> int:
        """GPU-microseconds at a server elsewhere, where they are charged: the same for the cost told and the charge."""
        return 0 if self._stay is None else int(self._stay.seconds * 1e6) * self.gpus

    def _left(self) -> None:
        """It occupies no server any more; its part of the time is kept for what is still to be settled."""
        if self._stay is not None:
            self._stay.leave()

    def _tariff(self, usage: Usage) -> int:
        return cost(self._reservation.price, usage)

    def _note(self, usage: Usage, receipt: Receipt) -> None:
        entry = self._entry
        entry.prompt_tokens = usage.prompt_tokens or usage.embedding_tokens
        entry.cached_tokens, entry.output_tokens = usage.cached_tokens, usage.output_tokens
        entry.outcome = receipt.outcome
        entry.queue_seconds, entry.first_token_seconds = receipt.queue_seconds, receipt.first_token_seconds

    @property
    def worker_headers(self) -> bytes:
        """Header lines, whole, for a worker of ours."""
        held, tariff = self._reservation, self._reservation.price
        if self._asked.kind == "none":
            return b"x-orch-salt: %b\r\n" % held.account.encode()
        limit = 0 if self.limit is None else self.limit
        rates = price.render(Rates(tariff.input, tariff.cached, tariff.output, tariff.embeddings, tariff.gpu_second))
        found = _TERMS % (limit, held.amount, rates, held.account.encode(), self.ticket.encode())
        return found if self.limit is not None else found.partition(b"\r\n")[2]
