# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about a worker: its own record, and what it answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, cast

from llama_orch.pool.place import Place

_TUPLES = ("gpus", "tensor_split")


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker. `state` is starting, loading, ok, stopping, failed or silent; `started` Unix seconds.

    `context` (tokens per sequence), `slots`, `threads`, `gpu_layers` are what it uses, or what was asked for while it
    does not tell (None: left to it); the fields from `gpu` to `engine` what was asked for (`WorkerSettings`).
    `layers_gpu` of `layers_total` layers lie on `devices`, by ggml's names, and `memory` are the bytes that llama.cpp
    took on each device, None while it does not tell. `active` and `queued` requests; `expires_in` seconds until it
    ends by itself, None while that is open; `size` bytes of the model file.
    """

    key: str
    model: str
    path: str
    pid: int
    socket: str
    log: str | None
    started: float
    version: str
    demo: bool = False
    state: str = "starting"
    progress: float | None = None
    context: int | None = None
    slots: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    gpu: str = "auto"
    gpus: tuple[int, ...] = ()
    split: str | None = None
    tensor_split: tuple[float, ...] = ()
    cache_type_k: str | None = None
    cache_type_v: str | None = None
    flash_attention: str = "auto"
    rope_scaling: str | None = None
    rope_scale: float | None = None
    yarn_original_context: int | None = None
    loras: tuple[tuple[str, float], ...] = ()
    draft: str | None = None
    draft_tokens: int | None = None
    projector: str | None = None
    engine: str | None = None
    layers_gpu: int | None = None
    layers_total: int | None = None
    devices: tuple[str, ...] | None = None
    memory: dict[str, int] | None = None
    active: int = 0
    queued: int = 0
    expires_in: float | None = None
    size: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return asdict(self)


def read(place: Place) -> WorkerRecord | None:
    """The record that the worker wrote; None if there is none, or not one of this version's."""
    try:
        found: object = json.loads(place.record.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    facts = cast("dict[str, Any]", found)
    try:
        facts |= {name: tuple(facts[name]) for name in _TUPLES if name in facts}
        facts["loras"] = tuple((path, scale) for path, scale in facts.get("loras", ()))
        return WorkerRecord(key=place.key, **facts)
    except (TypeError, ValueError):
        return None
