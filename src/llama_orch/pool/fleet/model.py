# SPDX-License-Identifier: GPL-3.0-or-later
"""What is told about one model of a fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llama_orch.models.stored_model import StoredModel
from llama_orch_utils.errors import OrchError

State = Literal["unloaded", "loading", "ready", "failed"]


@dataclass(frozen=True, slots=True)
class FleetModel:
    """One model that can be asked for, as it is at this moment.

    `context` (tokens per sequence), `slots` and `pid` are None while no worker serves it; `active` leases run;
    `loaded_at` and `used_at` are Unix seconds; `progress` 0 to 1 while it loads; `memory` bytes that its worker is
    reckoned with; `error` why it is `failed`. `capabilities` are words of `completion`, `chat`, `tools`, `thinking`,
    `insert`, `embedding`, `rerank`; `context_train` the tokens that it was trained on, None where the file does not
    tell.
    """

    id: str
    stored: StoredModel
    state: State = "unloaded"
    slots: int | None = None
    context: int | None = None
    pid: int | None = None
    active: int = 0
    loaded_at: float | None = None
    used_at: float | None = None
    capabilities: tuple[str, ...] = ()
    context_train: int | None = None
    pinned: bool = False
    progress: float | None = None
    memory: int = 0
    restarts: int = 0
    error: OrchError | None = None
