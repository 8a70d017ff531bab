# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads that change nothing, from connections of their own."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from llama_orch.ledger.errors import LedgerAway
from llama_orch.ledger.loading import key_record
from llama_orch.ledger.records import KeyRecord
from llama_orch.ledger.statements import KEY
from llama_orch.ledger.store import Store
from llama_orch.ledger.writer import PATIENCE
from llama_orch_utils.errors import OrchError

T = TypeVar("T")
Task = tuple[Any, "asyncio.Future[Any]"]


class Reader:
    """A thread that reads: keys by name, many in one statement; anything else as a function of the store."""

    def __init__(self, connect: Callable[[], Store], *, patience: float = PATIENCE) -> None:
        self._connect, self._patience = connect, patience
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._store: Store | None = None
        self._thread = threading.Thread(target=self._work, name="ledger-reader", daemon=True)
        self._thread.start()

    async def key(self, key_id: str) -> KeyRecord | None:
        """The key as it is now. Raises LedgerAway."""
        return await self._submit(key_id)

    async def read(self, function: Callable[[Store], T]) -> T:
        """What `function` reads. Raises LedgerAway."""
        return await self._submit(function)

    def close(self) -> None:
        """Ends the thread, and waits for it a moment."""
        self._queue.put(None)
        self._thread.join(PATIENCE)

    async def _submit(self, task: object) -> Any:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put((task, future))
        late = self._loop.call_later(self._patience, _give_up, future)
        try:
            return await future
        finally:
            late.cancel()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            tasks = [first]
            try:
                while (one := self._queue.get_nowait()) is not None:
                    tasks.append(one)
                self._queue.put(None)
            except Empty:
                pass
            results = self._run(tasks)
            try:
                self._loop.call_soon_threadsafe(_deliver, tasks, results)
            except RuntimeError:
                break
        if self._store is not None:
            self._store.close()

    def _run(self, tasks: list[Task]) -> list[Any]:
        """Each task's result, or its refusal."""
        names = [task for task, _ in tasks if isinstance(task, str)]
        try:
            if self._store is None:
                self._store = self._connect()
            keys = read_keys(self._store, names) if names else {}
            store = self._store
            return [keys.get(task) if isinstance(task, str) else snapshot(store, task) for task, _ in tasks]
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            self._drop()
            known = error if isinstance(error, OrchError) else LedgerAway(f"the ledger could not be read: {error!r}")
            return [copy.copy(known) for _ in tasks]

    def _drop(self) -> None:
        """A connection that failed is not used again."""
        store, self._store = self._store, None
        if store is not None:
            with contextlib.suppress(OrchError, OSError):
                store.close()


class OwnReader:
    """A connection for the event loop's own thread: a SQLite file's keys, read at once."""

    def __init__(self, connect: Callable[[], Store]) -> None:
        self._connect = connect
        self._store: Store | None = None

    def key(self, key_id: str) -> KeyRecord | None:
        """The key as it is now. Raises LedgerAway."""
        if self._store is None:
            self._store = self._connect()
        return read_keys(self._store, [key_id]).get(key_id)

    def close(self) -> None:
        """Lets the connection go."""
        if self._store is not None:
            self._store.close()


def snapshot(store: Store, function: Callable[[Store], T]) -> T | OrchError:
    """What `function` reads, all of it as it was at one instant; its refusal as a value."""
    store.begin_reading()
    try:
        return function(store)
    except LedgerAway:
        raise
    except OrchError as refusal:
        return refusal
    finally:
        store.rollback()


def read_keys(store: Store, names: list[str]) -> dict[str, KeyRecord]:
    """The keys with these ids, as they are now."""
    [rows] = store.fetch([(KEY, (names,))])
    return {row[0]: key_record(row) for row in rows}


def _give_up(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(LedgerAway("the database did not answer in time"))


def _deliver(tasks: list[Task], results: list[Any]) -> None:
    for (_, future), result in zip(tasks, results, strict=True):
        if future.done():
            continue
        if isinstance(result, OrchError):
            future.set_exception(result)
        else:
            future.set_result(result)
