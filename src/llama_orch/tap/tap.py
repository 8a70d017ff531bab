# SPDX-License-Identifier: GPL-3.0-or-later
"""What every request of the gateway shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llama_orch.tap.body import Held
from llama_orch.tap.call import Call
from llama_orch.tap.lanes import Lanes
from llama_orch.tap.metrics import Metrics
from llama_orch.tap.phases import Phase
from llama_orch.tap.responses import Responses
from llama_orch.tap.routes import SERVE, Routes
from llama_orch.tap.settings import ServeOptions
from llama_orch.tap.upstream import Pool

if TYPE_CHECKING:
    from llama_orch.ledger.ledger import Ledger
    from llama_orch.tap.admission import Admission
    from llama_orch.tap.applets.offer import Offer
    from llama_orch.tap.config.record import TapConfig
    from llama_orch.tap.neighbours import Neighbours
    from llama_orch.tap.routing import Routing
    from llama_orch.tap.routing.workers import Workers
    from llama_orch.tap.supervisor.siblings import Siblings

Observer = Callable[[bytes], None]


class Tap:
    """The gateway's parts. `phase` is loading until the first models are there, stopping once it was told to end.

    `orch serve` has no more than that. A tap also has its `config`, its `ledger`, and `admission`, which every request
    that may reach a model goes through.
    """

    def __init__(self, options: ServeOptions, fleet: Workers) -> None:
        self.options = options
        self.fleet = fleet
        self.lanes = Lanes(options.max_queue)
        self.held = Held(options.max_held)
        self.pool = Pool(options.buffer, options.connect_seconds)
        self.calls: set[Call] = set()
        self.phase: Phase = "loading"
        self.metrics = Metrics()
        self.routes: Routes = SERVE
        self.config: TapConfig | None = None
        self.ledger: Ledger | None = None
        self.admission: Admission | None = None
        self.neighbours: Neighbours | None = None
        self.routing: Routing | None = None
        self.siblings: Siblings | None = None
        self.responses = Responses(self)
        self.applets: Offer | None = None

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
        if self.applets is not None:
            await self.applets.close()
