# SPDX-License-Identifier: GPL-3.0-or-later
"""One worker process of a fleet: a thread of its own starts it, hears it, and waits for its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from llama_orch import machine
from llama_orch.models.stored_model import StoredModel
from llama_orch.pool import lock as locks
from llama_orch.pool import spawn
from llama_orch.pool.fleet import refusal
from llama_orch.pool.last_words import last_words
from llama_orch.pool.place import Place, private_place
from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import EngineFailed, OrchError
from llama_orch_utils.targets.local import LoadEvent, WorkerSettings

_MOST_PLACES = 1000
_LAST_WORDS = 12


class Worker:
    """From construction to `stop`; all methods belong to the event loop.

    `hear` is called with every LoadEvent, `died` once when the process ends and nobody told it to. `ready` is done when
    it serves, or fails with an OrchError; from then on `context`, `slots` and `pid` hold.
    """

    def __init__(
        self,
        model: StoredModel,
        settings: WorkerSettings,
        hear: Callable[[LoadEvent], None],
        died: Callable[[EngineFailed | None], None],
        *,
        reckoned: int = 0,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._model = model
        # A keep-alive of 0 with the lifeline means: exactly as long as this process lives.
        self._settings = replace(settings, keep_alive=0)
        self._hear, self._died, self._reckoned = hear, died, reckoned
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.ready.add_done_callback(_seen)
        self.ended: asyncio.Future[EngineFailed | None] = self._loop.create_future()
        self.socket, self.pid, self.context, self.slots = "", 0, 0, 1
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        threading.Thread(target=self._run, name=f"worker-{model.id}", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether its end is not known yet."""
        return not self.ended.done()

    async def death(self, seconds: float) -> EngineFailed | None:
        """Why it ended, None if it lives on after `seconds` or was told to end."""
        with contextlib.suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self.ended), seconds)
        return None

    async def stop(self, grace: float) -> None:
        """Ends it and waits until it has: asked first, told after `grace` seconds to cut its answers off, then killed.

        Its memory is free when this returns.
        """
        self._stopping = True
        for signal_it, seconds in ((_terminate, grace), (_terminate, 2.0), (spawn.kill, 10.0)):
            if self._process is not None:
                signal_it(self._process)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.ended), max(0.05, seconds))
                return

    def _run(self) -> None:
        """The thread: the whole life of the process."""
        place: Place | None = None
        death: EngineFailed | None = None
        try:
            place, lock = _free_place(self._model)
            try:
                process = self._process = spawn.spawn(place, self._model, self._settings, lock)
            finally:
                lock.release()  # the worker has its own hold
            if self._stopping:
                spawn.kill(process)
            death = self._live(process, place)
        except OrchError as error:
            self._tell(self._failed, error)
            if self._process is not None:
                spawn.kill(self._process)
                self._process.wait()
        if place is not None:
            spawn.cut_lifeline(place)
            _sweep(place)
        self._tell(self._end, death)

    def _live(self, process: subprocess.Popen[bytes], place: Place) -> EngineFailed | None:
        facts = spawn.hear(process, place, self._model, lambda event: self._tell(self._hear, event))
        self._tell(self._serves, str(place.socket), process.pid, facts)
        killed = machine.oom_kills()
        status = process.wait()
        if status == 0 or self._stopping:
            return None
        words = last_words(place.log, _LAST_WORDS)
        starved = status == -signal.SIGKILL and machine.oom_kills() > killed
        how = spawn.ending(status)
        return refusal.crashed(self._model.id, how, words, reckoned=self._reckoned, starved=starved)

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: this process is ending
            self._loop.call_soon_threadsafe(function, *arguments)

    def _serves(self, socket: str, pid: int, facts: dict[str, int]) -> None:
        self.socket, self.pid = socket, pid
        self.context, self.slots = int(facts.get("context", 0)), int(facts.get("slots", 1))
        if not self.ready.done():
            self.ready.set_result(None)

    def _failed(self, error: OrchError) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)

    def _end(self, death: EngineFailed | None) -> None:
        self.ended.set_result(death)
        if not self.ready.done():
            self.ready.set_exception(refusal.ending())
        if not self._stopping:
            self._died(death)


def _free_place(model: StoredModel) -> tuple[Place, locks.WorkerLock]:
    """A place that nobody has: another gateway may serve the same model, and one that was killed may still end."""
    for number in range(_MOST_PLACES):
        place = private_place(model, number)
        ensure_private(place.folder)
        lock = locks.acquire(place.lock)
        if lock is not None:
            place.sweep()
            return place, lock
    raise EngineFailed(f"{_MOST_PLACES} workers of {model.id} are running", hint="orch ps", code="spawn_failed")


def _sweep(place: Place) -> None:
    """Takes away what a worker left that could not do so itself."""
    deadline = time.monotonic() + 1
    while (lock := locks.acquire(place.lock)) is None:
        if time.monotonic() > deadline:
            return  # somebody starts the next one here: it swept
        time.sleep(0.01)
    place.sweep()
    lock.release(remove=True)


def _seen(ready: asyncio.Future[None]) -> None:
    """A failure that nobody waits for any more is no defect."""
    if not ready.cancelled():
        ready.exception()


def _terminate(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
