# SPDX-License-Identifier: GPL-3.0-or-later
"""What every request of the gateway shares."""

from __future__ import annotations

from collections.abc import Callable

from llama_orch.pool.fleet import Fleet
from llama_orch.tap.body import Held
from llama_orch.tap.call import Call
from llama_orch.tap.lanes import Lanes
from llama_orch.tap.metrics import Metrics
from llama_orch.tap.phases import Phase
from llama_orch.tap.responses import Responses
from llama_orch.tap.settings import ServeOptions
from llama_orch.tap.upstream import Pool

Observer = Callable[[bytes], None]


class Tap:
    """The gateway's parts. `phase` is loading until the first models are there, stopping once it was told to end."""

    def __init__(self, options: ServeOptions, fleet: Fleet) -> None:
        self.options = options
        self.fleet = fleet
        self.lanes = Lanes(options.max_queue)
        self.held = Held(options.max_held)
        self.pool = Pool()
        self.calls: set[Call] = set()
        self.phase: Phase = "loading"
        self.metrics = Metrics()
        self.responses = Responses(self)

    def load(self) -> dict[str, tuple[int, int]]:
        """By model: requests that are with its worker, and that wait for it."""
        return self.lanes.load()

    async def forward(self, call: Call, body: bytes, model: str | None, observer: Observer | None = None) -> None:
        """Hands a request on to the worker of `model` and its answer back; `observer` sees what passes.

        Raises the errors of the one tree while nothing was sent.
        """
        from llama_orch.tap.relay import Relay

        await Relay(self, call, body, model, observer).run()

    async def close(self) -> None:
        """Lets go of everything but the fleet."""
        self.pool.close()
        await self.responses.close()
