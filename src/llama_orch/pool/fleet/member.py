# SPDX-License-Identifier: GPL-3.0-or-later
"""One model of a fleet: its state, who uses it, and its worker."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from llama_orch.models.stored_model import StoredModel
from llama_orch.pool.fleet import refusal
from llama_orch.pool.fleet.lease import Lease
from llama_orch.pool.fleet.model import FleetModel, State
from llama_orch_utils.errors import EngineFailed, OrchError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from llama_orch.pool.fleet.facts import Facts
    from llama_orch.pool.fleet.worker import Worker

log = logging.getLogger("llama_orch.fleet")

_LONGEST_PAUSE = 30.0
_MOST_SHRUNK = 6


class Member:
    """Lives on the event loop. `changed` is called whenever something that others may wait for has happened.

    `spawn` runs what need not be waited for. `active` leases run, `claims` requests wait for one; `held`: no new lease,
    so that its memory comes free; `leaving`: its worker is being ended; `crowded`: it waits for others to make room;
    `memory` bytes are counted for it, and `gpu_memory` on GPUs; `shrunk` is how often it ran out of memory: the next
    worker gets half as much for each time; `load` is the task that loads it.
    """

    def __init__(
        self,
        stored: StoredModel,
        *,
        pinned: bool,
        changed: Callable[[Member], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self.stored, self.pinned = stored, pinned
        self.state: State = "unloaded"
        self.state_told: State = "unloaded"
        self.worker: Worker | None = None
        self.facts: Facts | None = None
        self.load: asyncio.Task[None] | None = None
        self.active = self.claims = self.memory = self.gpu_memory = self.restarts = 0
        self.shrunk = 0
        self.held = self.leaving = self.crowded = False
        self.progress: float | None = None
        self.error: OrchError | None = None
        self.loaded_at: float | None = None
        self.used_at: float | None = None
        self.checked = 0.0
        self._failures = 0
        self._pause_ends = 0.0
        self._changed, self._spawn = changed, spawn
        self._change: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def usable(self) -> bool:
        """Whether a lease can be had at once."""
        return self.state == "ready" and not self.held and not self.leaving

    @property
    def evictable(self) -> bool:
        """Whether it may be unloaded now: nobody uses it, and nobody is about to."""
        idle = self.state == "ready" and not self.active and not self.leaving
        return idle and not self.pinned and (self.held or not self.claims)

    @property
    def last_used(self) -> float:
        """Unix seconds; what is used now has been used last."""
        return max(self.used_at or 0.0, self.loaded_at or 0.0)

    def take(self) -> Lease:
        """A lease; only while it is `usable`."""
        self.active += 1
        self.used_at = time.time()
        return Lease(self)

    def leave(self) -> None:
        """A lease has ended."""
        self.active -= 1
        self.used_at = time.time()
        if not self.active:
            self._stir()

    async def change(self) -> None:
        """Returns when something about it has changed."""
        await asyncio.shield(self._change)

    def hold(self, *, held: bool) -> None:
        """Keeps new leases off, or lets them in again."""
        if self.held != held:
            self.held = held
            self._stir()

    def pause(self) -> OrchError | None:
        """The last failure while another try would come too soon, else None."""
        left = self._pause_ends - time.monotonic()
        if self.state != "failed" or self.error is None or left <= 0:
            return None
        return refusal.again(self.error, left) if isinstance(self.error, EngineFailed) else self.error

    def loading(self) -> None:
        """A load has begun."""
        self.restarts += self.state == "failed" and self.loaded_at is not None
        self.state, self.progress, self.error = "loading", None, None
        self._stir()

    def loaded(self, worker: Worker) -> None:
        """It can be used."""
        self.state, self.worker, self.progress = "ready", worker, None
        self.loaded_at, self._failures = time.time(), 0
        self.held = self.leaving = False
        self._stir()

    def failed(self, error: OrchError) -> None:
        """It could not be loaded; the next try comes after 1, 2, 4 … 30 seconds."""
        self._failures += 1
        self._pause_ends = time.monotonic() + min(_LONGEST_PAUSE, 2.0 ** min(self._failures - 1, 10))
        self._gone("failed", error)

    def crashed(self, error: EngineFailed | None) -> None:
        """Its worker ended by itself (None: in good order): the next request may start another at once."""
        self._pause_ends = 0.0
        self._gone("unloaded" if error is None else "failed", error)

    def broken(self, worker: Worker) -> None:
        """`worker` was found to be of no use; harmless when it is not this one's any more."""
        if self.worker is worker and not self.leaving:
            log.warning("the worker of %s does not answer: it is ended", self.stored.id)
            self.leaving = True
            self._spawn(self._end(worker, 0))

    async def unload(self, grace: float) -> None:
        """Ends its worker, if it has one: running answers get `grace` seconds. Its memory is free when this returns."""
        if not self.leaving:
            await self.close(grace)

    async def close(self, grace: float) -> None:
        """As `unload`, also where somebody ends it already, who may not live to do so."""
        worker = self.worker
        if worker is not None:
            self.leaving = True
            await self._end(worker, grace)

    async def _end(self, worker: Worker, grace: float) -> None:
        await worker.stop(grace)
        if self.worker is worker:
            self.unloaded()

    def unloaded(self) -> None:
        """Its worker was ended."""
        self._gone("unloaded", None)

    def _gone(self, state: State, error: OrchError | None) -> None:
        self.state, self.error = state, error
        self.worker, self.memory, self.gpu_memory, self.progress = None, 0, 0, None
        if error is not None and error.code == refusal.OUT_OF_MEMORY:
            self.shrunk = min(self.shrunk + 1, _MOST_SHRUNK)
        self.held = self.leaving = False
        self._stir()

    def _stir(self) -> None:
        change, self._change = self._change, asyncio.get_running_loop().create_future()
        if not change.done():
            change.set_result(None)
        self._changed(self)

    def told(self) -> FleetModel:
        """What is told about it."""
        facts, worker = self.facts, self.worker
        return FleetModel(
            id=self.stored.id,
            stored=self.stored,
            state=self.state,
            slots=worker.slots if worker else None,
            context=worker.context if worker else None,
            pid=worker.pid if worker else None,
            active=self.active,
            loaded_at=self.loaded_at if worker else None,
            used_at=self.used_at,
            capabilities=facts.capabilities if facts else (),
            context_train=facts.context_train or None if facts else None,
            pinned=self.pinned,
            progress=self.progress,
            memory=self.memory,
            restarts=self.restarts,
            error=self.error,
        )
