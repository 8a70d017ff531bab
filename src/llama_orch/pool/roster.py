# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers that run, and ending them. Whoever looks also takes away what dead ones left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from llama_orch.pool import lock as locks
from llama_orch.pool.health import ask
from llama_orch.pool.place import Place, everywhere
from llama_orch.pool.record import WorkerRecord, read
from llama_orch_utils.errors import EngineFailed, ModelNotFound

DRAIN_SECONDS = 10.0
"""How long a worker that was asked to end may take: it lets running answers finish for up to 5 seconds."""
_KILL_SECONDS = 10.0
_ASK_SECONDS = 2.0
_EXIT_SECONDS = 1.0


def list_workers() -> list[WorkerRecord]:
    """Every live worker, oldest first."""
    found = [record for place in everywhere() if (record := _look(place)) is not None]
    return sorted(found, key=lambda record: record.started)


def stop(model: str | None = None, pid: int | None = None, *, seconds: float = DRAIN_SECONDS) -> list[WorkerRecord]:
    """Ends the workers of `model`, or the one with `pid`, or (neither given) all; returns those that were ended.

    Running answers may finish for some seconds; after `seconds` the worker is killed. Raises ModelNotFound if nothing
    fits and something was named, EngineFailed if a process cannot be ended.
    """
    running = list_workers()
    meant = [record for record in running if model in (None, record.model) and pid in (None, record.pid)]
    if not meant and (model is not None or pid is not None):
        raise _not_running(model, pid, running)
    places = {place.key: place for place in everywhere()}
    for record in meant:
        _signal(record, signal.SIGTERM)
    for record in meant:
        _await_end(places[record.key], record, seconds)
    return meant


def _look(place: Place) -> WorkerRecord | None:
    """The worker at `place`; None if it is dead, and then its files are gone."""
    try:
        lock = locks.acquire(place.lock)
    except OSError:
        return None
    if lock is not None:
        place.sweep()
        lock.release(remove=True)
        return None
    record = read(place)
    if record is None:  # its starter has not got that far
        return None
    size = _size(record.path)
    health = ask(place.socket, seconds=_ASK_SECONDS)
    if health is None:
        return replace(record, size=size)
    facts = health.facts
    return replace(
        record,
        pid=health.pid or record.pid,
        state=health.state,
        size=size,
        progress=health.progress,
        context=health.number("context") or record.context,
        slots=health.number("slots") or record.slots,
        active=health.number("active") or 0,
        queued=health.number("queued") or 0,
        expires_in=facts.get("expires_in"),
        layers_gpu=health.number("layers_gpu"),
        layers_total=health.number("layers_total"),
        devices=tuple(facts["devices"]) if "devices" in facts else None,
        memory=facts.get("memory"),
    )


def _await_end(place: Place, record: WorkerRecord, seconds: float) -> None:
    """Waits until the kernel says that the worker has gone, and makes it go where it does not."""
    limit = time.monotonic() + seconds
    while not _gone(place, record):
        if time.monotonic() > limit + _KILL_SECONDS:
            raise EngineFailed(f"the worker process {record.pid} cannot be ended", hint=f"kill -9 {record.pid}")
        if time.monotonic() > limit:
            _signal(record, signal.SIGKILL)
        time.sleep(0.02)
    limit = time.monotonic() + _EXIT_SECONDS
    while _exists(record.pid) and time.monotonic() < limit:  # it took its lock away as its last act
        time.sleep(0.005)


def _gone(place: Place, record: WorkerRecord) -> bool:
    lock = locks.acquire(place.lock)
    if lock is not None:
        place.sweep()
        lock.release(remove=True)
        return True
    now = read(place)  # somebody may have started the next one already
    return now is not None and now.pid != record.pid


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):  # another user's: the number was given away again
        return False
    return True


def _signal(record: WorkerRecord, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, number)


def _size(path: str) -> int | None:
    try:
        return Path(path).stat().st_size
    except OSError:
        return None


def _not_running(model: str | None, pid: int | None, running: Iterable[WorkerRecord]) -> ModelNotFound:
    import difflib

    names = sorted({record.model for record in running})
    what = f"no worker serves {model}" if model is not None else f"no worker has the process id {pid}"
    close = tuple(difflib.get_close_matches(model or "", names)) or tuple(names)
    return ModelNotFound(what, near_misses=close, param=None, hint="orch ps lists the running ones")
