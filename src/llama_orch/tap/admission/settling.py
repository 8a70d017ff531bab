# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of every reservation, also when the database is away at that moment; and the leases of those that run.

A settlement that cannot be written now is kept and tried again. Should this process end before, the ledger's sweeper
settles the reservation from its last checkpoint when its lease has run out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from llama_orch.ledger.errors import LedgerAway
from llama_orch.ledger.records import Charge, Usage
from llama_orch.tap.admission import cancelling
from llama_orch.tap.upstream import UpstreamBroken
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.ledger.ledger import Ledger
    from llama_orch.tap.admission.admitted import Admitted
    from llama_orch.tap.upstream import Pool

log = logging.getLogger("llama_orch.tap")

RENEWALS = 4
"""How often a lease is renewed within its life: one renewal or two may fail."""
_SHORTEST = 0.05


class Settling:
    """Lives on the event loop. `run` renews the leases and writes what could not be written."""

    def __init__(self, ledger: Ledger, pool: Pool, lease_seconds: float) -> None:
        self._ledger, self._pool, self.lease_seconds = ledger, pool, lease_seconds
        self.running: dict[int, Admitted] = {}
        self._unwritten: dict[int, tuple[Usage, str] | str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def unwritten(self) -> int:
        """Ends that the database has not taken yet."""
        return len(self._unwritten)

    def hold(self, admitted: Admitted) -> None:
        """Its lease is renewed from now on."""
        self.running[admitted.reservation.id] = admitted

    def forget(self, admitted: Admitted) -> None:
        """Its lease is renewed no more, unless its end is still to be written."""
        self.running.pop(admitted.reservation.id, None)

    async def settle(self, reservation: int, usage: Usage, outcome: str) -> Charge | None:
        """Charges it; None where the database is away, and will be told later."""
        self._unwritten[reservation] = usage, outcome
        try:
            charge = await self._ledger.settle(reservation, usage, outcome)
        except LedgerAway:
            return None
        except asyncio.CancelledError:
            self._write_soon()
            raise
        self._unwritten.pop(reservation, None)
        return charge

    async def release(self, reservation: int, why: str) -> None:
        """Gives it back, now or when the database is back."""
        self._unwritten[reservation] = why
        try:
            await self._ledger.release(reservation, why)
        except LedgerAway:
            return
        except asyncio.CancelledError:
            self._write_soon()
            raise
        self._unwritten.pop(reservation, None)

    def _write_soon(self) -> None:
        """Whoever waited for it was cancelled: it may have been written, and may not; a second time is harmless."""
        task = asyncio.get_running_loop().create_task(self._written())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _written(self) -> None:
        with contextlib.suppress(LedgerAway):
            await self.write()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(max(_SHORTEST, self.lease_seconds / RENEWALS))
            with contextlib.suppress(LedgerAway):
                await self.write()
                await self.renew()

    async def write(self) -> None:
        """Writes the ends that could not be written. Raises LedgerAway."""
        for number, end in list(self._unwritten.items()):
            try:
                if isinstance(end, str):
                    await self._ledger.release(number, end)
                else:
                    await self._ledger.settle(number, *end)
            except LedgerAway:
                raise
            except OrchError as error:
                log.warning("reservation %d cannot be ended: %s", number, error.message)
            self._unwritten.pop(number, None)

    async def renew(self) -> None:
        """Renews all leases, with what each request used so far. Raises LedgerAway."""
        running = {number: one for number, one in self.running.items() if not one.ended}
        if not running and not self._unwritten:
            return
        counted = await self._counted({one.socket for one in running.values() if one.socket})
        checkpoints: dict[int, Usage | None] = {
            number: counted.get(one.ticket) or one.delivered for number, one in running.items()
        }
        for number, end in self._unwritten.items():
            checkpoints[number] = None if isinstance(end, str) else end[0]
        await self._ledger.renew(checkpoints, self.lease_seconds)

    async def _counted(self, sockets: set[str]) -> dict[str, Usage]:
        """What the workers say of our requests, by ticket."""
        found: dict[str, Usage] = {}
        for socket in sockets:
            with contextlib.suppress(OSError, UpstreamBroken, ValueError, KeyError):
                found |= await cancelling.running(self._pool, socket)
        return found
