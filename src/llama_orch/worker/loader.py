# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading the model, in a thread of its own: the event loop answers `/health` meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch.worker.announcer import Announcer
from llama_orch.worker.service import Service, devices_of
from llama_orch_utils.errors import EngineFailed, OrchError

if TYPE_CHECKING:
    from llama_orch.engine.records import EngineOptions
    from llama_orch.worker.device_time import DeviceTime
    from llama_orch.worker.service import Loaded

_TUNING = (
    "cache_type_k", "cache_type_v", "flash_attention", "rope_scaling", "rope_scale",
    "yarn_original_context", "loras", "draft", "draft_tokens", "projector",
)  # fmt: skip

log = logging.getLogger("llama_orch.worker")


class Loader:
    """Loads the service's model once; calls `loaded` or `failed` on the event loop."""

    def __init__(
        self,
        service: Service,
        announcer: Announcer,
        loaded: Callable[[Loaded], None],
        failed: Callable[[OrchError], None],
    ) -> None:
        self._service = service
        self._announcer = announcer
        self._loaded = loaded
        self._failed = failed

    def start(self) -> None:
        """Begins."""
        # A daemon: an interrupted load must not keep the process alive.
        threading.Thread(target=self._run, name="load", daemon=True).start()

    def _run(self) -> None:
        call = self._service.loop.call_soon_threadsafe
        try:
            engine = self._load()
            engine.measure(self._meter())
        except OrchError as error:
            call(self._failed, error)
        except MemoryError:
            call(self._failed, EngineFailed("there is not enough memory for the model", code="out_of_memory"))
        except Exception as error:
            log.exception("loading failed by a defect of llama-orch")
            call(self._failed, EngineFailed(f"the model could not be loaded: {type(error).__name__}", code="internal"))
        else:
            call(self._loaded, engine)

    def _meter(self) -> DeviceTime:
        """The devices' time, which this worker shares with others on them."""
        from llama_orch.worker.device_time import DeviceTime
        from llama_orch_utils.config import paths

        return DeviceTime(paths.runtime_dir() / "busy", devices_of(self._service.placed))

    def _load(self) -> Loaded:
        self._announcer.loading(0.0)
        from llama_orch.engine import prebuilt, smoke
        from llama_orch.engine.records import EngineOptions
        from llama_orch.worker.placing import Placing
        from llama_orch_utils.config import paths

        if prebuilt.here():
            return self._open_prebuilt()  # another llama.cpp, and no smoke test: it is made for any processor
        verdict = smoke.verdict(paths.cache_dir())
        if not verdict.ok:
            raise EngineFailed(verdict.message, hint=verdict.hint, code="engine_unusable")
        if verdict.message:
            self._warn(verdict.message, verdict.hint)
        wanted = self._service.options
        placing = Placing(wanted, paths.cache_dir(), extra_buffers=verdict.extra_buffers)
        for message in placing.warnings:
            self._warn(message, "orch run --plan")
        options = EngineOptions(
            context=wanted.context,
            slots=wanted.slots,
            threads=wanted.threads,
            extra_buffers=verdict.extra_buffers,
            **placing.options,
            **{name: getattr(wanted, name) for name in _TUNING},
        )
        loaded = self._open(wanted.model, options, paths.cache_dir())
        try:
            self._service.placed = placing.check()
        except OrchError:
            loaded.close()
            raise
        for message in loaded.warnings:
            self._warn(message, None)
        return loaded

    def _open_prebuilt(self) -> Loaded:
        from llama_orch.worker import prebuilt

        loaded = prebuilt.load(self._service, self._progress)
        for message in loaded.warnings:
            self._warn(message, None)
        return loaded

    def _open(self, model: Path, options: EngineOptions, cache: Path) -> Loaded:
        """An engine, or for a file that states a pooling an embedder."""
        import_module("llama_orch.worker.metrics")  # here it holds up nobody
        from llama_orch.engine import embedding

        if embedding.wanted(model, cache):
            return embedding.Embedder.load(model, options, self._progress, cache)
        from llama_orch.engine.engine import Engine

        return Engine.load(model, options, self._service.dispatcher.deliver, self._progress, cache)

    def _warn(self, message: str, hint: str | None) -> None:
        log.warning("%s", message)
        self._announcer.warning(message, hint or None)
        self._service.warnings.append((message, hint or None))

    def _progress(self, progress: float) -> None:
        self._service.progress = progress
        self._announcer.loading(progress)
