# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory for workers: counted in, made free by unloading the least recently used, shared out in turn."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from llama_orch import machine
from llama_orch.models.estimate.placement import Room as GpuRoom
from llama_orch.pool.fleet import refusal
from llama_orch.pool.fleet.member import Member

PATIENCE = 2.0
"""Seconds that a model waits for others to fall idle by themselves; then they get no new request until it has room."""
IDLE_GRACE = 1.0
"""Seconds for a worker without requests to end; a slow one is killed."""
_OF_AVAILABLE = 0.9
_RECHECK = 0.5


class Room:
    """`memory` bytes for all workers together; None: nine tenths of what is free now, and the engine judges the rest.

    `members` gives all models. Whoever needs room waits in line: a large model is not starved by small ones that come
    after it.
    """

    def __init__(self, memory: int | None, members: Callable[[], Collection[Member]]) -> None:
        self.strict = memory is not None
        self.limit = int(machine.available_memory() * _OF_AVAILABLE) if memory is None else memory
        self._members = members
        self._gpus: dict[int, int] = {}
        self._line = asyncio.Lock()
        self._news = asyncio.Event()

    def tell(self) -> None:
        """Something changed that may have made room."""
        self._news.set()

    def learn_gpus(self, rooms: Iterable[GpuRoom]) -> None:
        """What GPUs have free: the most that was ever seen is what they have for us."""
        for each in rooms:
            self._gpus[each.number] = max(each.free, self._gpus.get(each.number, 0))

    def whole(self, rooms: Iterable[GpuRoom]) -> list[GpuRoom]:
        """`rooms` as they are when all our other models have gone: what a model is planned with."""
        return [replace(each, free=self._gpus.get(each.number, each.free)) for each in rooms]

    def fits(self, need: int, gpu: int = 0) -> bool:
        """Whether `need` bytes more are within the limit, and there on this machine; and `gpu` on its GPUs."""
        if gpu and sum(member.gpu_memory for member in self._members()) + gpu > sum(self._gpus.values()):
            return False
        taken = sum(member.memory for member in self._members())
        coming = sum(member.memory for member in self._members() if member.state == "loading")
        return taken + need <= self.limit and (self.strict or need <= machine.available_memory() - coming)

    async def take(self, member: Member, need: int, gpu: int = 0) -> None:
        """Counts `need` bytes for `member`, and `gpu` on GPUs, after others have made room where they have to.

        Raises EngineFailed (out_of_memory) where the limit can never hold it.
        """
        async with self._line:
            since = time.monotonic()
            try:
                while not self.fits(need, gpu):
                    if not await self._make(member, need, gpu, patient=time.monotonic() - since < PATIENCE):
                        break
                member.memory, member.gpu_memory = need, gpu
            finally:
                member.crowded = False
                for each in self._members():
                    each.hold(held=False)

    async def _make(self, member: Member, need: int, gpu: int, *, patient: bool) -> bool:
        """One step towards room; False when there is none to be made and the engine shall judge."""
        others = [each for each in self._members() if each is not member and each.memory and not each.pinned]
        if gpu and self.fits(need):  # only the GPUs are short: who has none of their memory may stay
            others = [each for each in others if each.gpu_memory]
        if self.strict and need > self._reachable(member):
            raise refusal.too_large(member.stored.id, need, self._reachable(member))
        if not others:
            return False
        if victim := min((each for each in others if each.evictable), key=lambda each: each.last_used, default=None):
            await victim.unload(IDLE_GRACE)
            return True
        member.crowded = True
        if not patient:
            self._hold(others, need, gpu)
        self._news.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), _RECHECK)
        return True

    def _reachable(self, member: Member) -> int:
        """What would be there if all went that may go."""
        return self.limit - sum(each.memory for each in self._members() if each.pinned and each is not member)

    def _hold(self, others: list[Member], need: int, gpu: int) -> None:
        """Keeps new requests from the least recently loaded until enough comes free."""
        taken = sum(each.memory for each in self._members())
        on_gpus, most = sum(each.gpu_memory for each in self._members()), sum(self._gpus.values())
        for each in sorted(others, key=lambda each: each.loaded_at or 0.0):
            if taken + need <= self.limit and (not gpu or on_gpus + gpu <= most):
                return
            if each.state == "ready":
                each.hold(held=True)
                taken -= each.memory
                on_gpus -= each.gpu_memory
