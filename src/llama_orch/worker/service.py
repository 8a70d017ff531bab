# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker is at this moment, and what every request shares."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from llama_orch.wire.models import ModelEntry
from llama_orch.worker import capabilities
from llama_orch.worker.admission import Admission
from llama_orch.worker.counted import Counted
from llama_orch.worker.dispatcher import Dispatcher
from llama_orch_utils.errors import EngineFailed, ModelNotFound, OrchError, UnsupportedByTarget

if TYPE_CHECKING:
    from llama_orch.engine.embedding import Embedder
    from llama_orch.engine.engine import Engine
    from llama_orch.worker.exchange import Exchange
    from llama_orch.worker.lifetime import Lifetime
    from llama_orch.worker.metrics import Metrics
    from llama_orch.worker.options import WorkerOptions

Phase = Literal["loading", "ready", "stopping", "failed"]
Loaded: TypeAlias = "Engine | Embedder"
"""What a worker can hold: a model that generates, or one that embeds or ranks."""


class Service:
    """Loading until `serve` is called, then ready, then stopping or failed. Lives on the event loop.

    `placed` tells where the model is: `layers_gpu`, `layers_total`, `devices`, `memory`.

    `exchanges` are the requests that are being answered, `counted` what those took that have ended; `preparation` the
    threads that render and tokenise large ones, `reading` the one that does so with images, `looking` the one that
    encodes them.
    """

    def __init__(self, options: WorkerOptions, lifetime: Lifetime) -> None:
        self.options = options
        self.lifetime = lifetime
        self.loop = asyncio.get_running_loop()
        self.dispatcher = Dispatcher(self.loop)
        self.admission = Admission(options.queue)
        self.preparation = ThreadPoolExecutor(2, thread_name_prefix="prepare")
        self.reading = ThreadPoolExecutor(1, thread_name_prefix="read")
        self.looking = ThreadPoolExecutor(1, thread_name_prefix="look")
        self.exchanges: set[Exchange] = set()
        self.counted = Counted()
        self.phase: Phase = "loading"
        self.progress = 0.0
        self.warnings: list[tuple[str, str | None]] = []
        self.placed: dict[str, object] = {}
        self.metrics: Metrics | None = None
        self._loaded: Loaded | None = None
        self._engine: Engine | None = None
        self._embedder: Embedder | None = None
        self._started = time.time()

    def serve(self, loaded: Loaded) -> None:
        """The model is loaded."""
        from llama_orch.worker.metrics import Metrics  # the loader's thread has imported it

        self.metrics = Metrics()
        self._loaded = loaded
        if getattr(loaded, "generates", True):
            self._engine = cast("Engine", loaded)
        else:
            self._embedder = cast("Embedder", loaded)
        self.admission.slots = loaded.slots
        self.phase = "ready"
        self.progress = 1.0
        self.lifetime.start()

    @property
    def either(self) -> Loaded:
        """The model. Raises EngineFailed (503) while there is none, or none any more for new requests."""
        if self._loaded is not None and self.phase == "ready":
            return self._loaded
        words = {
            "loading": "the model is being loaded",
            "stopping": "the worker is ending",
            "failed": "the engine has failed",
        }
        raise EngineFailed(words.get(self.phase, self.phase), hint="try again", code=f"worker_{self.phase}")

    @property
    def engine(self) -> Engine:
        """The model that generates. Raises as `either`, and UnsupportedByTarget for one that does not."""
        _ = self.either
        if self._engine is not None:
            return self._engine
        raise _not_this_model("generation", f"{self.options.name} embeds or ranks; it writes no text")

    @property
    def embedder(self) -> Embedder:
        """The model that embeds or ranks. Raises as `either`, and UnsupportedByTarget for one that does not."""
        _ = self.either
        if self._embedder is not None:
            return self._embedder
        raise _not_this_model("embeddings", f"{self.options.name} generates text; it states no pooling of embeddings")

    @property
    def loaded(self) -> Loaded | None:
        """The model in any phase; None if there never was one."""
        return self._loaded

    def answer_name(self, asked: str | None, resolved: str | None = None) -> str:
        """The model's name as the answer has it: as the client asked for it.

        `resolved` is this worker's id where a gateway has looked up what the client meant. Raises ModelNotFound for
        any other model than this worker's: no model answers for another.
        """
        mine = self.options.name
        wanted = asked if resolved is None else resolved
        if wanted is not None and wanted != mine:
            raise ModelNotFound(
                f"this worker serves {mine}, not {wanted[:100]}", near_misses=(mine,), hint=f'send "model": "{mine}"'
            )
        return asked or mine

    def entry(self) -> ModelEntry:
        """The served model for the models list."""
        loaded = self.either
        card = loaded.model
        return ModelEntry(
            id=self.options.name,
            created=int(self._started),
            context=loaded.context,
            context_train=card.context_train,
            parameters=card.parameters,
            size=card.size_bytes,
            capabilities=self._capabilities(),
        )

    def _capabilities(self) -> tuple[str, ...]:
        if self._embedder is not None:
            return capabilities.of_embedder(self._embedder)
        return () if self._engine is None else capabilities.of_engine(self._engine)

    def health(self) -> dict[str, object]:
        """What `GET /health` says. `expires_in` is seconds until the worker ends by itself, null while it will not."""
        options = self.options
        facts: dict[str, object] = {
            "status": "ok" if self.phase == "ready" else self.phase,
            "model": options.name,
            "pid": os.getpid(),
            "life": self.counted.life,
            "progress": round(self.progress, 3),
            "demo": options.demo,
            "expires_in": None if self.phase != "ready" else self.lifetime.remaining(),
            "uptime": round(time.time() - self._started, 1),
            "warnings": [{"message": message, "hint": hint} for message, hint in self.warnings],
        }
        if self._loaded is not None and self.phase == "ready":
            shot = self._loaded.snapshot()
            facts |= {"context": self._loaded.context, "slots": self._loaded.slots} | self.placed
            facts |= {"active": shot.active, "queued": shot.queued, "cached_tokens": shot.cached_tokens}
        return facts

    def fail_all(self, error: OrchError) -> None:
        """Ends every running answer by `error` and frees its sequence."""
        for number in self.dispatcher.fail_all(error):
            self.cancel(number)
        if self._embedder is not None:
            self._embedder.fail_all(error)

    def cancel(self, number: int) -> None:
        """Ends one of the engine's requests."""
        if self._engine is not None:
            self._engine.cancel(number)


def devices_of(placed: Mapping[str, object]) -> list[str]:
    """The GPUs among the `devices` of a placement that has layers on them; the CPU where no GPU has."""
    named = cast("list[str]", placed.get("devices") or []) if placed.get("layers_gpu") else []
    return [name for name in named if name != "CPU"] or ["CPU"]


def _not_this_model(capability: str, message: str) -> UnsupportedByTarget:
    return UnsupportedByTarget(message, capability=capability, param="/model", hint="ask another model: orch models ls")
