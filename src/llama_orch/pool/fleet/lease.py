# SPDX-License-Identifier: GPL-3.0-or-later
"""The right to use one worker: while somebody has it, the worker is not swapped out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from llama_orch.pool.fleet.member import Member
    from llama_orch_utils.errors import EngineFailed


class Lease:
    """Ends by `release` or with its `async with`. `model` is the worker's id, `socket` where it listens.

    `slots` are the sequences that it decodes at once, `context` the tokens that each may hold.
    """

    def __init__(self, member: Member) -> None:
        worker = member.worker
        assert worker is not None
        self.model = member.stored.id
        self.socket = worker.socket
        self.slots = worker.slots
        self.context = worker.context
        self._worker = worker
        self._member: Member | None = member

    async def failure(self, seconds: float = 2.0) -> EngineFailed | None:
        """Why the worker has gone, for whoever lost the connection to it; None if it lives.

        Waits up to `seconds` for the kernel to say so: a socket closes a moment before its process is gone.
        """
        return await self._worker.death(seconds)

    def broken(self) -> None:
        """The worker takes no connections: no further lease on it; the next one gets a new worker."""
        if self._member is not None:
            self._member.broken(self._worker)

    def release(self) -> None:
        """Gives the right back. Harmless when repeated."""
        member, self._member = self._member, None
        if member is not None:
            member.leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
