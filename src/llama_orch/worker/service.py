# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker is at this moment, and what every request shares."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

from llama_orch.wire.models import ModelEntry
from llama_orch.worker.admission import Admission
from llama_orch.worker.dispatcher import Dispatcher
from llama_orch_utils.errors import EngineFailed, ModelNotFound, OrchError

if TYPE_CHECKING:
    from llama_orch.engine.engine import Engine
    from llama_orch.worker.exchange import Exchange
    from llama_orch.worker.lifetime import Lifetime
    from llama_orch.worker.options import WorkerOptions

Phase = Literal["loading", "ready", "stopping", "failed"]


class Service:
    """Loading until `serve` is called, then ready, then stopping or failed. Lives on the event loop.

    `exchanges` are the requests that are being answered; `preparation` the threads that render and tokenise large ones.
    """

    def __init__(self, options: WorkerOptions, lifetime: Lifetime) -> None:
        self.options = options
        self.lifetime = lifetime
        self.loop = asyncio.get_running_loop()
        self.dispatcher = Dispatcher(self.loop)
        self.admission = Admission(options.queue)
        self.preparation = ThreadPoolExecutor(2, thread_name_prefix="prepare")
        self.exchanges: set[Exchange] = set()
        self.phase: Phase = "loading"
        self.progress = 0.0
        self.warnings: list[tuple[str, str | None]] = []
        self._engine: Engine | None = None
        self._started = time.time()

    def serve(self, engine: Engine) -> None:
        """The model is loaded."""
        self._engine = engine
        self.admission.slots = engine.slots
        self.phase = "ready"
        self.progress = 1.0
        self.lifetime.start()

    @property
    def engine(self) -> Engine:
        """The engine. Raises EngineFailed (503) while there is none, or none any more for new requests."""
        if self._engine is not None and self.phase == "ready":
            return self._engine
        words = {
            "loading": "the model is being loaded",
            "stopping": "the worker is ending",
            "failed": "the engine has failed",
        }
        raise EngineFailed(words.get(self.phase, self.phase), hint="try again", code=f"worker_{self.phase}")

    @property
    def loaded(self) -> Engine | None:
        """The engine in any phase; None if there never was one."""
        return self._engine

    def check_model(self, name: str | None) -> None:
        """Raises ModelNotFound for any other model than this worker's: no model answers for another."""
        mine = self.options.name
        if name is not None and name != mine:
            raise ModelNotFound(
                f"this worker serves {mine}, not {name[:100]}", near_misses=(mine,), hint=f'send "model": "{mine}"'
            )

    def entry(self) -> ModelEntry:
        """The served model for the models list."""
        engine = self.engine
        card = engine.model
        return ModelEntry(
            id=self.options.name,
            created=int(self._started),
            context=engine.context,
            context_train=card.context_train,
            parameters=card.parameters,
            size=card.size_bytes,
        )

    def health(self) -> dict[str, object]:
        """What `GET /health` says. `expires_in` is seconds until the worker ends by itself, null while it will not."""
        options = self.options
        facts: dict[str, object] = {
            "status": "ok" if self.phase == "ready" else self.phase,
            "model": options.name,
            "pid": os.getpid(),
            "progress": round(self.progress, 3),
            "demo": options.demo,
            "expires_in": None if self.phase != "ready" else self.lifetime.remaining(),
            "uptime": round(time.time() - self._started, 1),
            "warnings": [{"message": message, "hint": hint} for message, hint in self.warnings],
        }
        if self._engine is not None and self.phase == "ready":
            shot = self._engine.snapshot()
            facts |= {"context": self._engine.context, "slots": self._engine.slots}
            facts |= {"active": shot.active, "queued": shot.queued, "cached_tokens": shot.cached_tokens}
        return facts

    def fail_all(self, error: OrchError) -> None:
        """Ends every running answer by `error` and frees its sequence."""
        for number in self.dispatcher.fail_all(error):
            if self._engine is not None:
                self._engine.cancel(number)
