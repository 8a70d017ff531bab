# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about a worker: its own record, and what it answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, cast

from llama_orch.pool.place import Place


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """One worker. `state` is starting, loading, ok, stopping, failed or silent; `started` Unix seconds.

    `context` (tokens per sequence), `slots`, `threads`, `gpu_layers` are what it uses, or what was asked for while it
    does not tell (None: left to it). `active` and `queued` requests; `expires_in` seconds until it ends by itself, None
    while that is open; `size` bytes of the model file.
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
        return WorkerRecord(key=place.key, **facts)
    except TypeError:
        return None
