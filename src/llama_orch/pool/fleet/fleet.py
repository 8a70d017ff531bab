# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet: who asks for a model gets a lease on its worker, and never another model's."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

from llama_orch.models.store import Store
from llama_orch.models.stored_model import StoredModel
from llama_orch.pool import spawn
from llama_orch.pool.fleet import refusal
from llama_orch.pool.fleet.catalogue import Catalogue
from llama_orch.pool.fleet.facts import Known
from llama_orch.pool.fleet.lease import Lease
from llama_orch.pool.fleet.loader import Loader
from llama_orch.pool.fleet.member import Member
from llama_orch.pool.fleet.members import Members
from llama_orch.pool.fleet.model import FleetModel
from llama_orch.pool.fleet.outward import Outward
from llama_orch.pool.fleet.room import Room
from llama_orch.pool.fleet.watch import Watch
from llama_orch_utils.errors import EngineFailed
from llama_orch_utils.targets.local import LoadEvent, WorkerSettings


class Fleet:
    """`models` are named by the operator and loaded at once; `store` adds whatever is installed (None: nothing else).

    `settings` are every worker's, but for the models in `own`, by id: `slots` None means as many as the memory holds,
    4 to 32; `keep_alive` is how many seconds an idle model stays (negative: until its memory is wanted). `pinned`
    models are never swapped out. `memory` bytes for all workers together (None: from the machine). `on_change` hears
    each change of a model's state, `on_event` what a worker says while it loads. One event loop; nothing here blocks
    it.
    """

    def __init__(
        self,
        models: Sequence[StoredModel],
        *,
        store: Store | None,
        settings: WorkerSettings,
        pinned: Collection[str] = (),
        memory: int | None = None,
        own: Mapping[str, WorkerSettings] | None = None,
    ) -> None:
        self._catalogue = Catalogue(models, store)
        self._settings, self._own = settings, dict(own or {})
        kept = frozenset(self._catalogue.find(name).id for name in pinned)
        self._members = Members(self._catalogue, kept, self._changed, self._spawn)
        self._memory = memory
        self._known = Known()
        self._outward = Outward()
        self._room: Room | None = None
        self._loader: Loader
        self._boot: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self.on_change: Callable[[FleetModel], None] | None = None
        self.on_event: Callable[[str, LoadEvent], None] | None = None

    @property
    def starting(self) -> bool:
        """Whether the named models are still being loaded for the first time."""
        return self._boot is None or not self._boot.done()

    async def start(self) -> None:
        """Begins to load the named models, one after another, as far as memory goes; `settled` tells how it went.

        Raises ConfigError where the engine is not installed.
        """
        spawn.check_installed()
        self._room = Room(self._memory, self._members.all)
        share = len(self._catalogue.named)
        self._loader = Loader(self._settings, self._room, self._known, share, self._heard, self._own)
        for stored in self._catalogue.named:
            self._members.join(stored)
        self._boot = asyncio.create_task(self._load_named(), name="fleet-boot")
        watch = Watch(self._members.current)
        self._spawn(watch.unload_idle(self._settings.keep_alive))
        self._spawn(watch.end_silent())

    async def settled(self) -> None:
        """Returns when the named models are loaded, or do not fit, all tried.

        Raises the first failure where none could be loaded. Otherwise the others serve, and `on_event` hears a warning
        for each that cannot: it is tried again when it is asked for.
        """
        assert self._boot is not None, "start first"
        await asyncio.shield(self._boot)
        named = [self._members.join(stored) for stored in self._catalogue.named]
        failures = [(member.stored.id, member.error) for member in named if member.error is not None]
        if failures and not any(member.state == "ready" for member in named):
            raise failures[0][1]
        for name, error in failures:
            self._heard(name, LoadEvent("warning", f"{name} is not served: {error.message}", hint=error.hint))

    async def lease(self, name: str | None, *, wait: float) -> Lease:
        """The right to use the worker of the model `name` (None: the first), which is loaded if need be.

        Raises ModelNotFound with near misses; EngineFailed where it cannot be loaded, and (503, code `loading`, with
        `retry_after`) where it is not ready within `wait` seconds. None of them names a file: the log does.
        """
        if self._closing:
            raise refusal.ending()
        member = self._member(name)
        if member.usable:
            return member.take()
        return await self._wait(member, wait)

    def models(self) -> list[FleetModel]:
        """Every model that can be asked for, the named ones first."""
        return [self._told(stored) for stored in self._catalogue.all()]

    def sockets(self) -> list[str]:
        """Where the workers listen that serve now."""
        return [member.worker.socket for member in self._members.all() if member.worker is not None]

    def find(self, name: str | None) -> FleetModel:
        """The model that `name` means, without loading it. Raises as `lease` does for a name that means none."""
        return self._told(self._member(name).stored)

    async def close(self, grace: float) -> None:
        """Ends all workers: running leases have `grace` seconds to end by themselves."""
        self._closing = True
        for task in [*self._tasks, *([self._boot] if self._boot else [])]:
            task.cancel()
        members = self._members.all()
        deadline = time.monotonic() + grace
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                for member in members:
                    while member.active:
                        await member.change()
        left = max(0.0, deadline - time.monotonic())
        await asyncio.gather(*(member.close(left) for member in members))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _member(self, name: str | None) -> Member:
        try:
            return self._members.of(name)
        except EngineFailed as error:  # an installed one whose file has gone
            raise self._outward.of(error, name or self._catalogue.first) from None

    async def _wait(self, member: Member, wait: float) -> Lease:
        """A lease as soon as `member` can give one, however many load and unload it meanwhile."""
        member.claims += 1
        try:
            async with asyncio.timeout(max(0.0, wait)):
                while not member.usable:
                    if self._closing:
                        raise refusal.ending()
                    if (error := member.pause()) is not None:
                        raise self._outward.of(error, member.stored.id)
                    await self._step(member)
            return member.take()
        except TimeoutError:
            if member.crowded:
                raise refusal.busy(member.stored.id) from None
            raise refusal.loading(member.stored.id, member.progress) from None
        finally:
            member.claims -= 1

    async def _step(self, member: Member) -> None:
        """Waits for whatever is next for `member`; begins to load it where nobody does."""
        if member.state == "ready":  # held back, or on its way out
            await member.change()
            return
        if member.load is None or member.load.done():
            member.load = self._spawn(self._loader.load(member))
        await asyncio.wait([member.load])

    async def _load_named(self) -> None:
        self._spawn(self._known.learn(self._catalogue.all()))
        for number, stored in enumerate(self._catalogue.named):
            member = self._members.join(stored)
            if member.state == "unloaded" and (member.load is None or member.load.done()):
                member.load = self._spawn(self._loader.load(member, only_if_it_fits=number > 0))
            if member.load is not None:
                await asyncio.wait([member.load])

    def _heard(self, name: str, event: LoadEvent) -> None:
        if self.on_event is not None:
            self.on_event(name, event)

    def _changed(self, member: Member) -> None:
        if self._room is not None:
            self._room.tell()
        if self.on_change is not None and member.state != member.state_told:
            member.state_told = member.state
            self.on_change(member.told())

    def _told(self, stored: StoredModel) -> FleetModel:
        member = self._members.standing_for(stored)
        known = self._known.now(stored)
        if member is not None:
            member.facts = member.facts or known
            return member.told()
        if known is None:
            return FleetModel(stored.id, stored)
        return FleetModel(stored.id, stored, capabilities=known.capabilities, context_train=known.context_train or None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
