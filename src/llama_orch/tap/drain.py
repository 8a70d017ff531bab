# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's clock and its end: looks after every connection now and then, and lets running answers finish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from llama_orch.tap.phases import stopping
from llama_orch.tap.protocol import Connection
from llama_orch.tap.tap import Tap

TICK = 0.5


class Clock:
    """Bounds what clients may take their time for; one task for all instead of a timer for each."""

    def __init__(self, tap: Tap, connections: Callable[[], list[Connection]]) -> None:
        self._tap, self._connections = tap, connections

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(TICK)
            self.tick(time.monotonic())

    def tick(self, now: float) -> None:
        """Looks once; `now` by the monotonic clock."""
        for connection in self._connections():
            connection.tick(now)
        for call in list(self._tap.calls):
            late = call.intake.late(now) if call.intake is not None else None
            if late is not None:
                call.cut(late)
            elif call.on_tick is not None:
                call.on_tick(now)
        self._tap.pool.sweep(now)


class Drain:
    """`begin` once: no new requests, `grace` seconds for those that run; a second `begin` does not wait."""

    def __init__(self, tap: Tap, exit_server: Callable[[], None]) -> None:
        self._tap, self._exit_server = tap, exit_server

    def begin(self) -> None:
        """The gateway was told to end."""
        if self._tap.phase == "stopping":
            self.cut()
            return
        self._tap.phase = "stopping"
        self._exit_server()
        asyncio.get_running_loop().call_later(self._tap.options.grace, self.cut)

    def cut(self) -> None:
        """Ends what still runs by an error."""
        for call in list(self._tap.calls):
            call.cut(stopping())
