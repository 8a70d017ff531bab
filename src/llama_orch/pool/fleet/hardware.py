# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet may place its models on: the devices that the chosen engine finds, asked once and when GPUs are used."""

from __future__ import annotations

import asyncio
import logging

from llama_orch.devices import llamacpp
from llama_orch.devices.device import LlamaCpp
from llama_orch.engines import runtime
from llama_orch.models.estimate.placement import Room
from llama_orch.models.estimate.weights import Cpu
from llama_orch.pool import spawn
from llama_orch_utils.errors import OrchError
from llama_orch_utils.targets.local import WorkerSettings

log = logging.getLogger("llama_orch.fleet")


class Hardware:
    """One for a fleet; lives on its event loop."""

    def __init__(self) -> None:
        self._told: dict[str | None, LlamaCpp] = {}
        self._lock = asyncio.Lock()

    async def of(self, engine: str | None) -> LlamaCpp:
        """What the engine says; asked again where it has GPUs, whose free memory changes. Nothing known: no devices."""
        async with self._lock:
            known = self._told.get(engine)
            if known is None or known.gpus:
                known = self._told[engine] = await asyncio.to_thread(ask, engine)
            return known


def ask(engine: str | None) -> LlamaCpp:
    """The devices of an engine; none where it cannot be asked: its worker will say why."""
    try:
        return of_runtime(runtime.runtime(engine))
    except OrchError as error:
        log.warning("%s", error.message)
        return LlamaCpp()


def of_runtime(chosen: runtime.Runtime) -> LlamaCpp:
    """The devices of a build; none for a prebuilt one, which is made for the CPU and has no llama.cpp to ask.

    Raises EngineFailed as `llamacpp.ask` does.
    """
    if chosen.record is not None and chosen.record.kind == "prebuilt":
        return LlamaCpp()
    return llamacpp.ask(chosen.command(llamacpp.MODULE), spawn.environment(chosen))


def rooms(build: LlamaCpp, settings: WorkerSettings) -> tuple[Room, ...]:
    """The GPUs that `settings` allow, with what is free on them; a driver that does not tell counts as full."""
    if settings.gpu == "off":
        return ()
    wished = set(settings.gpus) or {each.number for each in build.gpus}
    return tuple(
        Room(each.number, each.name, each.free)
        for each in build.gpus
        if each.number is not None and each.number in wished
    )


def cpu(build: LlamaCpp) -> Cpu:
    """What ggml repacks weights for there."""
    return Cpu.of(build.features)
