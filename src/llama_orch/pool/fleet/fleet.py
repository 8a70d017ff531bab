# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet: who asks for a model gets a lease on its worker, and never another model's."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
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
from llama_orch.pool.fleet.model import FleetModel
from llama_orch.pool.fleet.room import IDLE_GRACE, Room
from llama_orch_utils.errors import ModelNotFound
from llama_orch_utils.targets.local import LoadEvent, WorkerSettings

_TICK = 1.0


class Fleet:
    """`models` are named by the operator and loaded at once; `store` adds whatever is installed (None: nothing else).

    `settings` are every worker's: `slots` None means as many as the memory holds, 4 to 32; `keep_alive` is how many
    seconds an idle model stays (negative: until its memory is wanted). `pinned` models are never swapped out. `memory`
    bytes for all workers together (None: from the machine). `on_change` hears each change of a model's state,
    `on_event` what a worker says while it loads. One event loop; nothing here blocks it.
    """

    def __init__(
        self,
        models: Sequence[StoredModel],
        *,
        store: Store | None,
        settings: WorkerSettings,
        pinned: Collection[str] = (),
        memory: int | None = None,
    ) -> None:
        self._catalogue = Catalogue(models, store)
        self._settings = settings
        self._pinned = frozenset(self._catalogue.find(name).id for name in pinned)
        self._memory = memory
        self._known = Known()
        self._leaving: list[Member] = []
        self._members: dict[str, Member] = {}
        self._names: dict[str | None, str] = {}
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
        self._room = Room(self._memory, lambda: [*self._members.values(), *self._leaving])
        share = len(self._catalogue.named)
        self._loader = Loader(self._settings, self._room, self._known, share, self._heard)
        for stored in self._catalogue.named:
            self._join(stored)
        self._boot = asyncio.create_task(self._load_named(), name="fleet-boot")
        self._spawn(self._tend())

    async def settled(self) -> None:
        """Returns when the named models are loaded, or do not fit; all tried, raises the first failure."""
        assert self._boot is not None, "start first"
        await asyncio.shield(self._boot)
        for stored in self._catalogue.named:
            member = self._members[stored.id]
            if member.error is not None:
                raise member.error

    async def lease(self, name: str | None, *, wait: float) -> Lease:
        """The right to use the worker of the model `name` (None: the first), which is loaded if need be.

        Raises ModelNotFound with near misses; EngineFailed where it cannot be loaded, and (503, code `loading`, with
        `retry_after`) where it is not ready within `wait` seconds.
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

    def find(self, name: str | None) -> FleetModel:
        """The model that `name` means, without loading it. Raises as `lease` does for a name that means none."""
        return self._told(self._member(name).stored)

    async def close(self, grace: float) -> None:
        """Ends all workers: running leases have `grace` seconds to end by themselves."""
        self._closing = True
        for task in [*self._tasks, *([self._boot] if self._boot else [])]:
            task.cancel()
        members = [*self._members.values(), *self._leaving]
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
        """The member that `name` means; what the store says now is looked at once a second."""
        known = self._members.get(self._names.get(name, ""))
        if known is not None and time.monotonic() - known.checked < _TICK:
            return known
        try:
            stored = self._catalogue.find(name)
        except ModelNotFound:
            if known is not None:  # it was removed while we served it
                del self._members[known.stored.id]
                self._spawn(self._see_off(known))
            raise
        member = self._join(stored)
        self._names[name] = stored.id
        member.checked = time.monotonic()
        return member

    def _join(self, stored: StoredModel) -> Member:
        member = self._members.get(stored.id)
        if member is None or (member.stored != stored and member.state != "loading"):
            if member is not None and member.worker is not None:  # the name stands for another file now
                self._spawn(self._see_off(member))
            member = Member(stored, pinned=stored.id in self._pinned, changed=self._changed, spawn=self._spawn)
            self._members[stored.id] = member
        return member

    async def _wait(self, member: Member, wait: float) -> Lease:
        """A lease as soon as `member` can give one, however many load and unload it meanwhile."""
        member.claims += 1
        try:
            async with asyncio.timeout(max(0.0, wait)):
                while not member.usable:
                    if self._closing:
                        raise refusal.ending()
                    if (error := member.pause()) is not None:
                        raise error
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
            member = self._members[stored.id]
            if member.state == "unloaded" and (member.load is None or member.load.done()):
                member.load = self._spawn(self._loader.load(member, only_if_it_fits=number > 0))
            if member.load is not None:
                await asyncio.wait([member.load])

    async def _see_off(self, member: Member) -> None:
        """Ends the worker of a member that nobody can ask for any more, once its leases have ended."""
        self._leaving.append(member)
        member.hold(held=True)
        if member.load is not None:
            await asyncio.wait([member.load])
        while member.active:
            await member.change()
        await member.unload(IDLE_GRACE)
        self._leaving.remove(member)

    async def _tend(self) -> None:
        """Unloads what has been idle for longer than the keep-alive."""
        keep = self._settings.keep_alive
        while keep >= 0:
            await asyncio.sleep(_TICK)
            for member in list(self._members.values()):
                if member.evictable and time.time() - member.last_used >= keep:
                    await member.unload(IDLE_GRACE)

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
        member = self._members.get(stored.id)
        known = self._known.now(stored)
        if member is not None and member.stored == stored:
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
