# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the supervisor lends its workers to one gateway process, and takes back all of it when that process dies."""

from __future__ import annotations

import asyncio
import logging

from llama_orch.pool.fleet import Fleet, Lease
from llama_orch.tap.supervisor.branch import Granted, Say
from llama_orch_utils.errors import EngineFailed, ModelNotFound, OrchError

log = logging.getLogger("llama_orch.tap")


class Desk:
    """`say` sends a message to the gateway. Lives on the event loop."""

    def __init__(self, fleet: Fleet, say: Say) -> None:
        self._fleet, self._say = fleet, say
        self._leases: dict[int, Lease] = {}
        self._coming: dict[int, asyncio.Task[None]] = {}
        self._questions: set[asyncio.Task[None]] = set()

    def lease(self, number: int, name: str | None, wait: float) -> None:
        """The gateway wants the worker of a model."""
        self._coming[number] = asyncio.create_task(self._lease(number, name, wait))

    def release(self, number: int) -> None:
        """It wants it no more."""
        coming = self._coming.pop(number, None)
        if coming is not None:
            coming.cancel()
        lease = self._leases.pop(number, None)
        if lease is not None:
            lease.release()

    def broken(self, number: int) -> None:
        """The worker takes no connections."""
        lease = self._leases.get(number)
        if lease is not None:
            lease.broken()

    def failure(self, question: int, number: int, seconds: float) -> None:
        """It wants to know why the worker has gone."""
        task = asyncio.create_task(self._failure(question, self._leases.get(number), seconds))
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    def close(self) -> None:
        """The gateway has gone."""
        for task in (*self._coming.values(), *self._questions):
            task.cancel()
        for lease in self._leases.values():
            lease.release()
        self._coming.clear()
        self._leases.clear()

    async def _lease(self, number: int, name: str | None, wait: float) -> None:
        try:
            lease = await self._fleet.lease(name, wait=wait)
        except OrchError as error:
            self._coming.pop(number, None)
            self._say("leased", number, _for_clients(error, name))
            return
        self._coming.pop(number, None)
        self._leases[number] = lease
        self._say("leased", number, Granted(lease.model, lease.socket, lease.slots, lease.context))

    async def _failure(self, question: int, lease: Lease | None, seconds: float) -> None:
        self._say("failure", question, None if lease is None else await lease.failure(seconds))


def _for_clients(error: OrchError, name: str | None) -> OrchError:
    """The tap offers the model: that it is not installed is its operator's affair, not a wrong name of the client's."""
    if not isinstance(error, ModelNotFound):
        return error
    log.error("%s cannot be served: %s", name, error.message)
    return EngineFailed(
        f"{name} cannot be loaded", code="model_missing", retry_after=5, hint="tell the operator of this tap"
    )
