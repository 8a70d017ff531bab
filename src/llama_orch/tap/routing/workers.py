# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway needs of whoever has the local workers: the pool's Fleet itself, or a supervisor's, from far."""

from __future__ import annotations

from typing import Protocol

from llama_orch.pool.fleet import FleetModel
from llama_orch_utils.errors import EngineFailed


class Held(Protocol):
    """The right to use one worker (`pool.fleet.Lease`)."""

    model: str
    socket: str
    slots: int
    context: int

    async def failure(self, seconds: float = 2.0) -> EngineFailed | None:
        """Why the worker has gone, None if it lives."""
        ...

    def broken(self) -> None:
        """The worker takes no connections."""
        ...

    def release(self) -> None:
        """Gives the right back."""
        ...


class Workers(Protocol):
    """The local models (`pool.fleet.Fleet`)."""

    async def lease(self, name: str | None, *, wait: float) -> Held:
        """The right to use the worker of a model."""
        ...

    def models(self) -> list[FleetModel]:
        """Every model that can be asked for."""
        ...

    def find(self, name: str | None) -> FleetModel:
        """The model that `name` means."""
        ...
