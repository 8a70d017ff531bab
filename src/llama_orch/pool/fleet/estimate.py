# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a worker will take, and how many slots it may have, before it is started.

What the engine will do with the settings is foreseen (`models.estimate`), not decided twice: the fleet gives it the
slots, and the engine then finds a KV stream per slot to fit, which is the faster layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llama_orch.models.estimate.layout import token_bytes
from llama_orch.models.estimate.placement import Room
from llama_orch.models.estimate.shape import Shape
from llama_orch.models.estimate.wanted import Wanted, wanted
from llama_orch.models.estimate.weights import Cpu
from llama_orch_utils.targets.local import WorkerSettings

LEAST_SLOTS, MOST_SLOTS = 4, 32
_LOGITS = 4
_SHARE = 4
"""The engine takes streams while all of them fit in a quarter of what is free."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`slots` to start the worker with, and `memory` bytes that it is reckoned with; `gpu` bytes on GPUs."""

    slots: int
    memory: int
    gpu: int = 0


def plan(
    shape: Shape,
    settings: WorkerSettings,
    limit: int,
    available: int,
    cpu: Cpu | None = None,
    rooms: Sequence[Room] = (),
) -> Plan:
    """The plan for one model that may take `limit` bytes on a machine with `available` free, and `rooms` on its GPUs.

    Without a wish for slots: as many as a quarter of what the weights leave holds in streams, 4 to 32; fewer than 4
    only where the limit holds no more. Raises EngineFailed where a file of the settings cannot be read.
    """
    load = wanted(shape, settings, cpu)
    if settings.slots is not None:
        return _planned(load, settings.slots, available, rooms)
    beside = load.memory(available, 1)
    fixed = beside.total - beside.cache
    cells = -(-load.layout(available, 1).context // 256) * 256
    room = max(0, min(limit, available) - fixed) // _SHARE
    per_slot = cells * token_bytes(shape) + shape.vocabulary * _LOGITS
    slots = min(MOST_SLOTS, max(LEAST_SLOTS, room // max(1, per_slot)))
    found = _planned(load, slots, available, rooms)
    while slots > 1 and found.memory > limit:
        slots -= 1
        found = _planned(load, slots, available, rooms)
    return found


def _planned(load: Wanted, slots: int, available: int, rooms: Sequence[Room]) -> Plan:
    whole = load.memory(available, slots)
    if not rooms or load.settings.gpu == "off" or load.settings.gpu_layers == 0:
        return Plan(slots, whole.total)
    placed = load.placer(slots).place(rooms, available, load.settings.gpu_layers)
    return Plan(slots, placed.cpu.total + whole.draft + whole.projector, placed.need)
