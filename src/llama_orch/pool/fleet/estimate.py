# SPDX-License-Identifier: GPL-3.0-or-later
"""How much memory a worker will take, and how many slots it may have, before it is started.

What the engine will do with the settings is foreseen here (engine/context.py, `plan`), not decided twice: the fleet
gives it the slots, and the engine then finds a KV stream per slot to fit, which is the faster layout.
"""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.pool.fleet.facts import Facts
from llama_orch_utils.targets.local import WorkerSettings

LEAST_SLOTS, MOST_SLOTS = 4, 32
_CONTEXT = 8192
_PAD = 256
_PROCESS = 96 * 2**20
"""Interpreter, libraries and llama.cpp's compute buffers of a small model (measured: 85 MiB private)."""
_REPACKED = 5, 4
"""ggml repacks quantised weights for the CPU's matrix units: 604 MB private for a file of 497 MB (Q8_0, AMX)."""
_LOGITS = 4
_SHARE = 4
"""The engine takes streams while all of them fit in a quarter of what is free."""


@dataclass(frozen=True, slots=True)
class Plan:
    """`slots` to start the worker with, and `memory` bytes that it is reckoned with."""

    slots: int
    memory: int


def plan(facts: Facts, settings: WorkerSettings, limit: int, available: int) -> Plan:
    """The plan for one model that may take `limit` bytes on a machine with `available` free.

    Without a wish for slots: as many as a quarter of what the weights leave holds in streams, 4 to 32; fewer than 4
    only where the limit holds no more.
    """
    slots = settings.slots
    if slots is not None:
        return Plan(slots, _memory(facts, settings, slots, available))
    room = max(0, min(limit, available) - _fixed(facts)) // _SHARE
    per_slot = _padded(facts, settings) * facts.bytes_per_token + facts.vocabulary * _LOGITS
    slots = min(MOST_SLOTS, max(LEAST_SLOTS, room // max(1, per_slot)))
    while slots > 1 and _memory(facts, settings, slots, available) > limit:
        slots -= 1
    return Plan(slots, _memory(facts, settings, slots, available))


def _memory(facts: Facts, settings: WorkerSettings, slots: int, available: int) -> int:
    one = _padded(facts, settings) * facts.bytes_per_token
    streams = one * slots
    shared = max(one, min(streams, available // _SHARE))
    cells = streams if streams <= available // _SHARE else shared
    return _fixed(facts) + cells + slots * facts.vocabulary * _LOGITS


def _fixed(facts: Facts) -> int:
    return _PROCESS + facts.weights * _REPACKED[0] // _REPACKED[1]


def _padded(facts: Facts, settings: WorkerSettings) -> int:
    """Cells of one sequence: the context, rounded up as llama.cpp does."""
    context = settings.context or min(facts.context_train or _CONTEXT, _CONTEXT)
    return -(-context // _PAD) * _PAD
