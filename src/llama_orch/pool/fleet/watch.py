# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet does unasked: unload what nobody uses, end what does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

from llama_orch.pool.fleet.member import Member
from llama_orch.pool.fleet.room import IDLE_GRACE

PULSE_SECONDS = 10.0
"""Between two questions to a worker that is in use, and what it may take for the answer."""
SILENCES = 3
"""Questions without an answer, one after another, until a worker is held for dead: a busy machine is no death."""
_TICK = 1.0
_QUESTION = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"


class Watch:
    """`members` gives all models. Its loops run until they are cancelled."""

    def __init__(self, members: Callable[[], Collection[Member]]) -> None:
        self._members = members

    async def unload_idle(self, keep_alive: float) -> None:
        """Unloads what has been idle for more than `keep_alive` seconds; negative: nothing, ever."""
        while keep_alive >= 0:
            await asyncio.sleep(_TICK)
            for member in self._members():
                if member.evictable and time.time() - member.last_used >= keep_alive:
                    await member.unload(IDLE_GRACE)

    async def end_silent(self) -> None:
        """Ends workers that take requests and have stopped to live: frozen by a signal, or hanging in a driver.

        Their event loop has a thread of its own: it answers also while the engine computes.
        """
        while True:
            await asyncio.sleep(PULSE_SECONDS)
            await asyncio.gather(*(_feel(member) for member in self._members() if member.active))


async def _feel(member: Member) -> None:
    worker = member.worker
    for _ in range(SILENCES):
        if worker is None or member.worker is not worker or await _beats(worker.socket):
            return
    if worker is not None:
        member.broken(worker)


async def _beats(socket: str) -> bool:
    """Whether the worker at `socket` says anything at all within PULSE_SECONDS."""
    try:
        async with asyncio.timeout(PULSE_SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(_QUESTION)
                return bool(await reader.read(1))
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        return False
