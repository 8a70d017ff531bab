# SPDX-License-Identifier: GPL-3.0-or-later
"""One thread that writes: while a commit is on its way to the disk the next batch gathers."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from llama_orch.ledger import batch
from llama_orch.ledger.errors import LedgerAway
from llama_orch.ledger.operations import Operation, Release, Renew, Reserve
from llama_orch.ledger.records import Reservation
from llama_orch.ledger.store import Store
from llama_orch_utils.errors import OrchError

MOST = 512
"""Operations in one transaction: with so many it takes no more."""

PATIENCE = 1.5
"""Seconds until a caller is told that the ledger is away (its promise is 2, and a busy machine takes some of that)."""

_GLANCE = 0.1

SIBLINGS = 6
"""With so many reservations open, more is about to come: a batch waits for it a moment (as PostgreSQL's commit_delay).

Alone, a request does not wait: its batch goes out at once."""
_GATHER = 0.001

Waiting = tuple[Operation, "asyncio.Future[batch.Result]", float]


class Writer:
    """Takes operations on the event loop, and does them on its own thread, in the order in which they came."""

    def __init__(self, connect: Callable[[], Store], clock: Callable[[], float]) -> None:
        self._connect, self._clock = connect, clock
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[list[Waiting] | None] = SimpleQueue()
        self._gathered: list[Waiting] = []
        self._waiting: dict[asyncio.Future[batch.Result], float] = {}
        self._known: dict[int, tuple[str, str]] = {}
        self._store: Store | None = None
        self._glancing: asyncio.TimerHandle | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation) -> asyncio.Future[batch.Result]:
        """Its result; a refusal or LedgerAway is raised by the future."""
        future: asyncio.Future[batch.Result] = self._loop.create_future()
        if self._closed:
            future.set_exception(LedgerAway("the ledger is closed"))
            return future
        now = self._loop.time()
        self._waiting[future] = now
        if not self._gathered:
            if len(self._known) + len(self._waiting) > SIBLINGS:
                self._loop.call_later(_GATHER, self._hand_over)
            else:
                self._loop.call_soon(self._hand_over)
        self._gathered.append((operation, future, now))
        if self._glancing is None:
            self._glancing = self._loop.call_later(_GLANCE, self._glance)
        return future

    def _hand_over(self) -> None:
        """What gathered goes to the thread."""
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._queue.put(gathered)

    async def close(self) -> None:
        """Writes what is queued, at most for the time that a caller would wait."""
        self._closed = True
        self._hand_over()
        self._queue.put(None)
        deadline = self._loop.time() + PATIENCE
        while self._thread.is_alive() and self._loop.time() < deadline:  # noqa: ASYNC110 - a thread's end is no event
            await asyncio.sleep(0.005)
        if self._glancing is not None:
            self._glancing.cancel()
        self._give_up(self._loop.time() + PATIENCE)

    def _glance(self) -> None:
        """Tells those who have waited too long; what they asked for may still happen, and is undone then."""
        self._give_up(self._loop.time())
        self._glancing = self._loop.call_later(_GLANCE, self._glance) if self._waiting else None

    def _give_up(self, now: float) -> None:
        late = [future for future, since in self._waiting.items() if now - since >= PATIENCE]
        for future in late:
            del self._waiting[future]
            if not future.done():
                future.set_exception(LedgerAway("the database did not answer in time"))

    def _work(self) -> None:
        """The thread."""
        while (gathered := self._next_batch()) is not None:
            waiting = [one for one in gathered if not _is_stale(one)]
            results = self._run([operation for operation, _, _ in waiting]) if waiting else []
            try:
                self._loop.call_soon_threadsafe(self._deliver, waiting, results)
            except RuntimeError:  # the event loop is closed: nobody waits any more
                break
        if self._store is not None:
            self._store.close()

    def _next_batch(self) -> list[Waiting] | None:
        """At least one, and whatever gathered; None at the end."""
        waiting = self._queue.get()
        if waiting is None:
            return None
        with contextlib.suppress(Empty):
            while len(waiting) < MOST:
                more = self._queue.get_nowait()
                if more is None:
                    self._queue.put(None)
                    break
                waiting += more
        return waiting

    def _run(self, operations: list[Operation]) -> list[batch.Result]:
        try:
            if self._store is None:
                self._store = self._connect()
            return batch.run(self._store, operations, self._known, self._clock)
        except OrchError as error:
            self._drop()
            return [copy.copy(error) for _ in operations]  # a raised exception grows its traceback
        except Exception as error:  # noqa: BLE001 - a fault of ours: the callers learn it, the thread goes on
            self._drop()
            return [OrchError(f"the ledger failed: {error!r}", code="ledger_failed")] * len(operations)

    def _drop(self) -> None:
        """A connection that failed is not used again."""
        store, self._store = self._store, None
        if store is not None:
            with contextlib.suppress(OrchError, OSError):
                store.close()

    def _deliver(self, waiting: list[Waiting], results: list[batch.Result]) -> None:
        """On the event loop."""
        for (operation, future, _), result in zip(waiting, results, strict=True):
            self._waiting.pop(future, None)
            self._remember(operation, result)
            if future.done():
                self._undo(result)
            elif isinstance(result, OrchError):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _remember(self, operation: Operation, result: batch.Result) -> None:
        """Whose a reservation is, from its making to its end."""
        if isinstance(result, Reservation):
            self._known[result.id] = (result.account, result.key)
        elif not isinstance(operation, Reserve) and not isinstance(result, OrchError):
            self._known.pop(getattr(operation, "reservation", 0), None)

    def _undo(self, result: batch.Result) -> None:
        """Nobody waits for this reservation any more: it must not hold money until its lease ends."""
        if isinstance(result, Reservation) and not self._closed:
            self.submit(Release(result.id, "the caller had gone before it was admitted")).add_done_callback(_ignore)


def _is_stale(waiting: Waiting) -> bool:
    """Whether nobody waits for it any more, and nothing is lost without it: it waited for a database that was away."""
    operation, future, _ = waiting
    return future.done() and isinstance(operation, Reserve | Renew)


def _ignore(future: asyncio.Future[batch.Result]) -> None:
    """The sweeper does it then."""
    if not future.cancelled():
        future.exception()
