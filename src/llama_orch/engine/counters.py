# SPDX-License-Identifier: GPL-3.0-or-later
"""What an engine did and does, in figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Counters:
    """What the engine did since it was loaded; tokens and steps count up, seconds are spent in llama_decode.

    `shared_seconds` are those that were divided among requests (`engine.busy`).
    """

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    steps: int = 0
    rows: int = 0
    decode_seconds: float = 0.0
    step_seconds: float = 0.0
    shared_seconds: float = 0.0
    preemptions: int = 0
    failures: int = 0
    cancellations: int = 0
    proposed_tokens: int = 0
    accepted_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The engine at one moment: requests running and waiting, tokens kept for later turns, cells, and the counters."""

    active: int
    queued: int
    cached_tokens: int
    cells_free: int
    cells: int
    counters: Counters
