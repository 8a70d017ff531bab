# SPDX-License-Identifier: GPL-3.0-or-later
"""The entry point by which the SDK starts local workers without importing this package."""

from __future__ import annotations

from llama_orch.pool.launch import find_or_start
from llama_orch_utils.targets.local import LoadEvent, LoadListener, LocalWorker, WorkerSettings


def launcher(model: str | None, settings: WorkerSettings, listener: LoadListener | None = None) -> LocalWorker:
    """A `Launcher`: the running worker for `model` (None: the user's default, else the demo), started if need be.

    Raises ModelNotFound, ConfigError (the engine is not installed, a directory cannot be used), EngineFailed with the
    last words of the worker's log, TargetTimeout. Blocks; safe to call from any thread.
    """
    from llama_orch.models.store import Store

    return find_or_start(Store().resolve(model or _default_model()), settings, listener or _nobody)


def _default_model() -> str | None:
    from llama_orch_utils import config

    value = config.load().get("model").value
    return value if isinstance(value, str) and value else None


def _nobody(event: LoadEvent) -> None:
    """Hears nothing."""
