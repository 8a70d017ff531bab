# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a model: read its file, make room, start its worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

from llama_orch import machine
from llama_orch.pool import load_settings
from llama_orch.pool.fleet import estimate, hardware
from llama_orch.pool.fleet.facts import Known
from llama_orch.pool.fleet.member import Member
from llama_orch.pool.fleet.room import Room
from llama_orch.pool.fleet.worker import Worker
from llama_orch_utils.errors import EngineFailed, OrchError
from llama_orch_utils.targets.local import LoadEvent, WorkerSettings

log = logging.getLogger("llama_orch.fleet")


class Loader:
    """`share` is the part of the memory that one model may plan its slots with, 1 over the number of named models.

    `own` settings go before `settings`, by a model's id. `hear` gets a model's id and what its worker says while it
    loads.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        room: Room,
        known: Known,
        share: int,
        hear: Callable[[str, LoadEvent], None],
        own: Mapping[str, WorkerSettings] | None = None,
    ) -> None:
        self._settings, self._own = settings, own or {}
        self._room, self._known = room, known
        self._share = share
        self._hear = hear
        self._hardware = hardware.Hardware()

    async def load(self, member: Member, *, only_if_it_fits: bool = False) -> None:
        """Loads `member`, or notes why it cannot be. Never raises but to be cancelled."""
        worker: Worker | None = None
        member.loading()
        try:
            plan = await self._plan(member)
            if only_if_it_fits and not self._room.fits(plan.memory, plan.gpu):
                member.unloaded()
                return
            await self._room.take(member, plan.memory, plan.gpu)
            worker = self._start(member, plan)
            await asyncio.shield(worker.ready)
            member.loaded(worker)
        except OrchError as error:
            await _give_up(worker)
            member.failed(error)
        except asyncio.CancelledError:
            await _give_up(worker)
            member.unloaded()
            raise
        except Exception:
            log.exception("loading %s failed by a defect of llama-orch", member.stored.id)
            await _give_up(worker)
            member.failed(EngineFailed(f"{member.stored.id} could not be loaded", code="internal"))

    async def _plan(self, member: Member) -> estimate.Plan:
        """What it is reckoned with; a model that ran out of memory before gets half as much for each time."""
        member.facts = await self._known.of(member.stored)
        wish = self._wish(member)
        build = await self._hardware.of(wish.engine)
        rooms = hardware.rooms(build, wish)
        self._room.learn_gpus(rooms)
        limit = (self._room.limit // self._share) >> member.shrunk
        available = machine.available_memory()
        shape, cpu = member.facts.shape, hardware.cpu(build)
        plan = await asyncio.to_thread(estimate.plan, shape, wish, limit, available, cpu, self._room.whole(rooms))
        slots = plan.slots if wish.slots is not None else max(1, plan.slots >> member.shrunk)
        return replace(plan, slots=slots)

    def _wish(self, member: Member) -> WorkerSettings:
        """The settings of this model's worker."""
        return load_settings.settled(self._own.get(member.stored.id, self._settings), member.stored)

    def _start(self, member: Member, plan: estimate.Plan) -> Worker:
        def hear(event: LoadEvent) -> None:
            if event.progress is not None:
                member.progress = event.progress
            self._hear(member.stored.id, event)

        def died(death: EngineFailed | None) -> None:
            if member.worker is worker:
                member.crashed(death)

        worker = Worker(member.stored, replace(self._wish(member), slots=plan.slots), hear, died, reckoned=plan.memory)
        return worker


async def _give_up(worker: Worker | None) -> None:
    if worker is not None:
        await worker.stop(0)
