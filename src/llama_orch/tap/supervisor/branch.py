# SPDX-License-Identifier: GPL-3.0-or-later
"""The local workers as a gateway process sees them: its supervisor has them, and lends them out."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llama_orch.models import names
from llama_orch.pool.fleet import FleetModel
from llama_orch_utils.errors import EngineFailed, ModelNotFound, OrchError

Say = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Granted:
    """What the supervisor says of a lease that it gives."""

    model: str
    socket: str
    slots: int
    context: int


class BorrowedLease:
    """A lease of the supervisor's, under its `number`."""

    def __init__(self, branch: Branch, number: int, granted: Granted) -> None:
        self.model, self.socket = granted.model, granted.socket
        self.slots, self.context = granted.slots, granted.context
        self._branch, self._number = branch, number
        self._released = False

    async def failure(self, seconds: float = 2.0) -> EngineFailed | None:
        """Why the worker has gone, None if it lives on after `seconds`."""
        return await self._branch.failure(self._number, seconds)

    def broken(self) -> None:
        """The worker takes no connections: the next lease gets a new one."""
        self._branch.say("broken", self._number)

    def release(self) -> None:
        """Gives the right back. Harmless when repeated."""
        if not self._released:
            self._released = True
            self._branch.say("release", self._number)


class Branch:
    """Stands where the fleet stands in a gateway of its own. `say` sends a message to the supervisor."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self._models: dict[str, FleetModel] = {}
        self._numbers = itertools.count(1)
        self._leases: dict[int, asyncio.Future[Granted]] = {}
        self._failures: dict[int, asyncio.Future[EngineFailed | None]] = {}

    async def lease(self, name: str | None, *, wait: float) -> BorrowedLease:
        """As the fleet's own."""
        number = next(self._numbers)
        answer = self._leases[number] = asyncio.get_running_loop().create_future()
        self.say("lease", number, name, wait)
        try:
            return BorrowedLease(self, number, await answer)
        except asyncio.CancelledError:
            self.say("release", number)
            raise
        finally:
            del self._leases[number]

    async def failure(self, number: int, seconds: float) -> EngineFailed | None:
        """As `Lease.failure`."""
        question = next(self._numbers)
        answer = self._failures[question] = asyncio.get_running_loop().create_future()
        self.say("failure", question, number, seconds)
        try:
            return await answer
        finally:
            del self._failures[question]

    def models(self) -> list[FleetModel]:
        """Every local model, as the supervisor last told."""
        return list(self._models.values())

    def find(self, name: str | None) -> FleetModel:
        """The local model of that name. Raises ModelNotFound with near misses."""
        found = next(iter(self._models.values()), None) if name is None else self._models.get(name)
        if found is None:
            raise names.not_found(name or "", list(self._models)) if self._models else _none()
        return found

    # What the supervisor says

    def told(self, models: Sequence[FleetModel]) -> None:
        """The models as they are now."""
        self._models = {model.id: model for model in models}

    def leased(self, number: int, outcome: Granted | OrchError) -> None:
        """The lease `number` is there, or cannot be had."""
        answer = self._leases.get(number)
        if answer is None or answer.done():
            return
        if isinstance(outcome, Granted):
            answer.set_result(outcome)
        else:
            answer.set_exception(outcome)

    def failed(self, question: int, failure: EngineFailed | None) -> None:
        """The answer to `failure`."""
        answer = self._failures.get(question)
        if answer is not None and not answer.done():
            answer.set_result(failure)


def _none() -> ModelNotFound:
    return ModelNotFound("no model runs on this machine", hint="GET /v1/models lists what is served")
