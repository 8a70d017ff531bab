# SPDX-License-Identifier: GPL-3.0-or-later
"""The ledger as a gateway process sees it: money and limits, durable when a call returns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from llama_orch.ledger import queries, sweeping
from llama_orch.ledger.address import address
from llama_orch.ledger.errors import LedgerAway
from llama_orch.ledger.opening import connector
from llama_orch.ledger.operations import (
    BeginRun,
    CountEngine,
    EndLease,
    EndRun,
    Expire,
    ForgetAnswers,
    KeepAnswer,
    Release,
    Renew,
    Reserve,
    Settle,
)
from llama_orch.ledger.reader import OwnReader, Reader
from llama_orch.ledger.records import (
    Answer,
    Charge,
    Credits,
    EngineCount,
    KeyRecord,
    KeyState,
    Order,
    Reservation,
    Run,
    Usage,
    UsageRow,
)
from llama_orch.ledger.soundness import MOST_MICROSECONDS as MOST
from llama_orch.ledger.soundness import check_order, checked, count, storable
from llama_orch.ledger.writer import Writer

_SWEEP_SECONDS = 60.0


class Ledger:
    """One per process, on one event loop. Every call raises LedgerAway within 2 s when the database is away.

    The next call after it is back works; nothing has to be opened again. Of what a call that raised LedgerAway asked
    for, a reservation is given back by itself; a settlement or a release may be repeated (`Charge.again`).
    """

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        """Use `open`."""
        connect = connector(url)
        self.url = url
        """As it was given to `open`."""
        self._clock = clock
        self._writer = Writer(connect, clock)
        self._reader = Reader(connect)
        self._sweeper: Reader | None = None
        self._connect = connect
        # A read of a SQLite file takes less than the way to another thread.
        self._own = OwnReader(connect) if address(url).kind == "sqlite" else None
        self.drifted: tuple[str, ...] = ()
        """Grants whose time is over and which stay open, because the journal disagrees (`check` says how)."""

    @classmethod
    async def open(cls, url: str, *, clock: Callable[[], float] = time.time) -> Ledger:
        """Opens the database at `url`.

        Raises ConfigError when there is none, or it is of another release (hint: `orch tap migrate`); LedgerAway.
        """
        store = await asyncio.to_thread(connector(url))
        store.close()
        return cls(url, clock)

    async def key(self, key_id: str) -> KeyRecord | None:
        """The key as it is now, in whatever process it was changed; None when there is none."""
        if not storable(key_id):
            return None
        if self._own is None:
            return await self._reader.key(key_id)
        try:
            return self._own.key(key_id)
        except LedgerAway:
            self._own = OwnReader(self._connect)  # with a fresh connection the next time
            raise

    async def reserve(self, order: Order) -> Reservation:
        """Admits `order` by one atomic conditional write, durable on return.

        Raises NotAuthorised (the key was revoked, or has expired), NotAllowed (paused; another model),
        ModelNotFound (no price), BadRequest (a name or a number that cannot be), RateLimited (`retry_after`),
        InsufficientCredits (`balance`, `affordable_max_tokens`), BudgetExceeded, IdempotencyConflict, LedgerAway.
        """
        check_order(order)
        result = await self._writer.submit(Reserve(order))
        assert isinstance(result, Reservation)
        return result

    async def settle(self, reservation: int, usage: Usage, outcome: str) -> Charge:
        """Charges a reservation for what it used, never more than it reserved; once: later calls get the first charge.

        Raises RequestError (`unknown_reservation`), LedgerAway.
        """
        result = await self._writer.submit(Settle(reservation, usage, outcome))
        assert isinstance(result, Charge)
        return result

    async def release(self, reservation: int, why: str) -> None:
        """Gives a reservation back, uncharged; nothing happens when it has ended. Raises as `settle`."""
        await self._writer.submit(Release(reservation, why))

    async def renew(self, checkpoints: Mapping[int, Usage | None], lease_seconds: float) -> None:
        """Extends the leases of all running reservations, and keeps what they used so far, in one write.

        None keeps the checkpoint that is there: nothing is known yet. Those that have ended are skipped. Raises
        LedgerAway.
        """
        if checkpoints:
            await self._writer.submit(Renew(dict(checkpoints), lease_seconds))

    async def sweep(self) -> int:
        """Ends what nobody renews any more (by its last checkpoint), expires grants, forgets old answers.

        Returns how many reservations and grants it ended. Any number of processes may sweep at once.
        """
        now = self._clock()
        if self._sweeper is None:  # of its own: to compare an old account with its journal may take a while
            self._sweeper = Reader(self._connect, patience=_SWEEP_SECONDS)
        leases = await self._sweeper.read(lambda store: sweeping.ended_leases(store, now))
        ended = await asyncio.gather(*[self._writer.submit(EndLease(number)) for number in leases])
        grants, drifted = await self._sweeper.read(lambda store: sweeping.ended_grants(store, now))
        self.drifted = tuple(drifted)
        closings = [self._writer.submit(Expire(account, grant)) for account, grant in grants]
        closed = await asyncio.gather(*closings, self._writer.submit(ForgetAnswers()))
        return sum(result is True for result in (*ended, *closed))

    async def begin_run(self, run: str, account: str, key: str, applet: str, most: int, seconds: float) -> Run:
        """Lets a run of an applet spend up to `most` of a key, for `seconds`; `run` is a new id.

        Orders that name it are held to it (`Order.run`). Raises NotAuthorised, NotAllowed, LedgerAway.
        """
        for name, text in (("run", run), ("account", account), ("key", key), ("applet", applet)):
            checked(text, f"/{name}")
        result = await self._writer.submit(BeginRun(run, account, key, applet, count(most, MOST), seconds))
        assert isinstance(result, Run)
        return result

    async def end_run(self, run: str, account: str) -> Run:
        """Lets it spend nothing more, and tells what it has spent. Raises RequestError (`unknown_run`), LedgerAway."""
        result = await self._writer.submit(EndRun(run, account))
        assert isinstance(result, Run)
        return result

    async def credits(self, account: str) -> Credits:
        """An account's money. Raises BadRequest when there is no such account."""
        now = self._clock()
        checked(account, "/account")
        return await self._reader.read(lambda store: queries.credits_of(store, account, now))

    async def key_state(self, key_id: str) -> KeyState:
        """What a key is using now. Raises BadRequest when there is no such key."""
        now = self._clock()
        checked(key_id, "/key")
        return await self._reader.read(lambda store: queries.key_state(store, key_id, now))

    async def usage(self, account: str, start: float, end: float, group_by: queries.GroupBy) -> list[UsageRow]:
        """What an account was charged for from `start` to before `end`. Raises BadRequest for another grouping."""
        checked(account, "/account")
        return await self._reader.read(lambda store: queries.usage(store, account, start, end, group_by))

    async def answer(self, account: str, idempotency_key: str) -> Answer | None:
        """The answer kept for an `Idempotency-Key`, for 24 hours from its request."""
        now = self._clock()
        if not (storable(account) and storable(idempotency_key)):
            return None
        return await self._reader.read(lambda store: queries.answer(store, account, idempotency_key, now))

    async def keep_answer(
        self, account: str, idempotency_key: str, digest: bytes, status: int, media: str, body: bytes
    ) -> None:
        """Keeps the answer to the request that reserved with this key.

        Raises RequestError (`answer_not_kept`) above 4 MiB, or when the account's kept answers have 64 MiB together.
        """
        await self._reader.read(lambda store: queries.require_room(store, account, len(body)))
        await self._writer.submit(KeepAnswer(account, idempotency_key, Answer(digest, status, media, body)))

    async def count_engine(self, worker: str, ended: Sequence[EngineCount]) -> None:
        """Notes what a worker's engine counted of requests that ended; `check` compares it with what was settled.

        `worker` names one life of one worker: after a restart it is another. To note a request again changes nothing;
        after eight days it is forgotten. Raises BadRequest, LedgerAway.
        """
        checked(worker, "/worker")
        for each in ended:
            checked(each.request_id, "/request_id")
            checked(each.outcome, "/outcome")
        await self._writer.submit(CountEngine(worker, tuple(ended)))

    async def close(self) -> None:
        """Writes what is queued, and lets go of the database."""
        await self._writer.close()
        self._reader.close()
        if self._sweeper is not None:
            self._sweeper.close()
        if self._own is not None:
            self._own.close()
            self._own = None
