# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the running worker for a model, or start it; two who want to start it at once get the same one."""

from __future__ import annotations

import time

from llama_orch.models.stored_model import StoredModel
from llama_orch.pool import load_settings
from llama_orch.pool import lock as locks
from llama_orch.pool.health import Health, ask
from llama_orch.pool.place import Place, place_of
from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import TargetTimeout
from llama_orch_utils.targets.local import LoadEvent, LoadListener, LocalWorker, WorkerSettings

STALL_SECONDS = 130.0
"""How long to wait for somebody else's worker that makes no progress: a little longer than its starter does."""


def find_or_start(model: StoredModel, settings: WorkerSettings, listener: LoadListener) -> LocalWorker:
    """A worker that serves `model` with `settings` and stays at least for the request that follows.

    A setting that is None is met by any value; a worker with other settings is left alone, and a second one is started
    beside it. Raises ConfigError, EngineFailed, TargetTimeout.
    """
    settings = load_settings.settled(settings, model)
    place = place_of(model, settings)
    found = _running(place, model, settings) or _compatible(place, model, settings)
    if found is not None:
        return found
    ensure_private(place.folder)
    watch = _Watch(model, listener)
    while True:
        lock = locks.acquire(place.lock)
        if lock is not None:
            return _start(place, model, settings, lock, listener)
        health = ask(place.socket, keep_alive=settings.keep_alive)
        if health is not None and _serves(health, model):
            listener(LoadEvent("ready"))
            return _worker(place, model, health)
        watch.look(health)


def _start(
    place: Place, model: StoredModel, settings: WorkerSettings, lock: locks.WorkerLock, listener: LoadListener
) -> LocalWorker:
    from llama_orch.pool.spawn import start

    started = False
    try:
        place.sweep()
        worker = start(place, model, settings, lock, listener)
        started = True
    finally:
        if not started:
            place.sweep()
        lock.release(remove=not started)
    return worker


def _running(place: Place, model: StoredModel, settings: WorkerSettings) -> LocalWorker | None:
    health = ask(place.socket, keep_alive=settings.keep_alive)
    if health is None or not _serves(health, model):
        return None
    return _worker(place, model, health)


def _compatible(place: Place, model: StoredModel, settings: WorkerSettings) -> LocalWorker | None:
    from llama_orch.pool.record import read

    for sibling in place.siblings():
        record, health = read(sibling), ask(sibling.socket)
        if record is None or health is None or not _serves(health, model):
            continue
        if load_settings.met(settings, record, health):
            return _running(sibling, model, settings)
    return None


def _serves(health: Health, model: StoredModel) -> bool:
    return health.state == "ok" and health.model == model.id


def _worker(place: Place, model: StoredModel, health: Health) -> LocalWorker:
    return LocalWorker(
        model=model.id,
        url="http://localhost",
        socket=str(place.socket),
        pid=health.pid,
        demo=model.demo,
        log=str(place.log),
    )


class _Watch:
    """Waits for a worker that somebody else starts, or that is ending, and says so."""

    def __init__(self, model: StoredModel, listener: LoadListener) -> None:
        self._model = model
        self._listener = listener
        self._pause = 0.01
        self._last: tuple[str, float | None] | None = None
        self._since = time.monotonic()

    def look(self, health: Health | None) -> None:
        """Sleeps a little. Raises TargetTimeout when nothing has changed for STALL_SECONDS."""
        now = ("starting", None) if health is None else (health.state, health.progress)
        if now != self._last:
            self._last, self._since = now, time.monotonic()
            words = "another command is starting" if now[0] in ("starting", "loading") else f"{now[0]}:"
            self._listener(LoadEvent("waiting", f"{words} {self._model.id}", now[1]))
        if time.monotonic() - self._since > STALL_SECONDS:
            raise TargetTimeout(
                f"the worker of {self._model.id} does not get ready",
                phase="load",
                seconds=STALL_SECONDS,
                hint=f"orch stop {self._model.id}",
            )
        time.sleep(self._pause)
        self._pause = min(0.1, self._pause * 1.5)
