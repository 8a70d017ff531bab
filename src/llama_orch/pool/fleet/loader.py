# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a model: read its file, make room, start its worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from llama_orch import machine
from llama_orch.pool.fleet import estimate
from llama_orch.pool.fleet.facts import Known
from llama_orch.pool.fleet.member import Member
from llama_orch.pool.fleet.room import Room
from llama_orch.pool.fleet.worker import Worker
from llama_orch_utils.errors import EngineFailed, OrchError
from llama_orch_utils.targets.local import LoadEvent, WorkerSettings

log = logging.getLogger("llama_orch.fleet")


class Loader:
    """`share` is the part of the memory that one model may plan its slots with, 1 over the number of named models.

    `hear` gets a model's id and what its worker says while it loads.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        room: Room,
        known: Known,
        share: int,
        hear: Callable[[str, LoadEvent], None],
    ) -> None:
        self._settings, self._room, self._known = settings, room, known
        self._share = share
        self._hear = hear

    async def load(self, member: Member, *, only_if_it_fits: bool = False) -> None:
        """Loads `member`, or notes why it cannot be. Never raises but to be cancelled."""
        worker: Worker | None = None
        member.loading()
        try:
            plan = await self._plan(member)
            if only_if_it_fits and not self._room.fits(plan.memory):
                member.unloaded()
                return
            await self._room.take(member, plan.memory)
            worker = self._start(member, plan.slots)
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
        member.facts = await self._known.of(member.stored)
        available = machine.available_memory()
        return estimate.plan(member.facts, self._settings, self._room.limit // self._share, available)

    def _start(self, member: Member, slots: int) -> Worker:
        def hear(event: LoadEvent) -> None:
            if event.progress is not None:
                member.progress = event.progress
            self._hear(member.stored.id, event)

        def died(death: EngineFailed | None) -> None:
            if member.worker is worker:
                member.crashed(death)

        worker = Worker(member.stored, replace(self._settings, slots=slots), hear, died)
        return worker


async def _give_up(worker: Worker | None) -> None:
    if worker is not None:
        await worker.stop(0)
