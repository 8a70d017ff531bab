# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's life: listen, load, serve, drain, end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from llama_orch.worker import record
from llama_orch.worker.announcer import Announcer
from llama_orch.worker.app import App
from llama_orch.worker.gate import Gate, read_key
from llama_orch.worker.lifetime import Lifetime
from llama_orch.worker.listener import address, listen
from llama_orch.worker.loader import Loader
from llama_orch.worker.options import WorkerOptions
from llama_orch.worker.server import Server
from llama_orch.worker.service import Service
from llama_orch_utils.errors import EngineFailed, OrchError

if TYPE_CHECKING:
    import socket

    from llama_orch.worker.service import Loaded

log = logging.getLogger("llama_orch.worker")

SWITCH_INTERVAL = 0.0005
"""Seconds until a thread that wants the GIL gets it. The default of 5 ms is a decode step of a small model."""
TICK = 0.5
STUCK_SECONDS = 30.0
"""A reader that has not taken a byte for this long after its answer ended for being too slow is cut off."""
CLOSE_SECONDS = 10.0


def run(options: WorkerOptions) -> int:
    """Runs until the worker ends; the exit status: 0 ended as it should, 1 could not load or the engine failed."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.setswitchinterval(SWITCH_INTERVAL)
    _forbid_core_files()
    announcer = Announcer()
    if options.lock_fd is not None:
        os.set_inheritable(options.lock_fd, False)
    try:
        key = read_key(options.key_fd)
        record.write(options)
        listener = listen(options)
    except OrchError as error:
        log.error("%s", error.message)  # noqa: TRY400 - a sentence for the user, no defect
        announcer.failed(error)
        record.remove_address(options)
        record.remove_lock(options)
        return 1
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        status = runner.run(_serve(options, announcer, listener, key))
    record.remove_lock(options)  # the last act: who finds no lock may start the next worker
    return status


async def _serve(options: WorkerOptions, announcer: Announcer, listener: socket.socket, key: bytes | None) -> int:
    return await Process(options, announcer).serve(listener, key)


class Process:
    """Holds the parts together while the event loop runs."""

    def __init__(self, options: WorkerOptions, announcer: Announcer) -> None:
        self._options = options
        self._announcer = announcer
        self._status = 0
        self._loop = asyncio.get_running_loop()
        known = options.lifeline_fd is not None
        self._lifetime = Lifetime(options.keep_alive, starter_known=known, end=self._idle)
        self._service = Service(options, self._lifetime)
        self._server: Server | None = None

    async def serve(self, listener: socket.socket, key: bytes | None) -> int:
        """Listens at once (a request while loading gets a 503 that says so), loads beside it, serves until the end."""
        gate = Gate(tcp=self._options.socket is None, key=key)
        self._server = Server(App(self._service, gate), drain=self._options.drain)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._stop, "told to stop")
        self._watch_lifeline()
        url = address(listener)
        Loader(self._service, self._announcer, lambda engine: self._loaded(engine, url), self._failed).start()
        ticker = asyncio.create_task(self._tick())
        await self._server.serve(sockets=[listener])
        ticker.cancel()
        record.remove_address(self._options)
        await self._close_engine()
        return self._status

    def _loaded(self, engine: Loaded, url: str) -> None:
        if self._service.phase != "loading":
            return
        self._service.serve(engine)
        log.info("serving %s: context %d, %d slots", self._options.name, engine.context, engine.slots)
        self._announcer.ready(
            model=self._options.name,
            url=url,
            socket=None if self._options.socket is None else str(self._options.socket),
            pid=os.getpid(),
            context=engine.context,
            slots=engine.slots,
        )

    def _failed(self, error: OrchError) -> None:
        log.error("%s", error.message)
        self._announcer.failed(error)
        self._status = 1
        self._service.phase = "failed"
        self._exit()

    def _idle(self) -> None:
        self._stop("idle")

    def _stop(self, why: str) -> None:
        if self._service.phase == "stopping":  # asked twice: whoever asks means it
            self._cut()
            return
        log.info("ending: %s", why)
        self._service.phase = "stopping"
        self._exit()
        self._loop.call_later(self._options.drain, self._cut)

    def _cut(self) -> None:
        self._service.fail_all(
            EngineFailed("the worker was told to stop before the answer was whole", code="worker_stopping")
        )

    def _exit(self) -> None:
        record.remove_address(self._options)
        assert self._server is not None
        self._server.should_exit = True

    def _watch_lifeline(self) -> None:
        descriptor = self._options.lifeline_fd
        if descriptor is None:
            return
        os.set_blocking(descriptor, False)

        def readable() -> None:
            with contextlib.suppress(BlockingIOError):
                if not os.read(descriptor, 1):
                    self._loop.remove_reader(descriptor)
                    os.close(descriptor)
                    self._starter_gone()

        self._loop.add_reader(descriptor, readable)

    def _starter_gone(self) -> None:
        self._lifetime.starter_gone()
        if self._service.phase == "loading" and self._lifetime.keep_alive == 0:
            self._stop("its starter has gone")

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            now = self._loop.time()
            for exchange in list(self._service.exchanges):
                exchange.ping(now, self._options.ping)
                overflowed = exchange.mailbox.overflowed_at
                if overflowed is not None and now - overflowed > STUCK_SECONDS:
                    assert self._server is not None
                    self._server.abort(exchange.scope)
            self._check_engine()

    def _check_engine(self) -> None:
        engine = self._service.loaded
        if engine is None or self._service.phase not in ("ready", "stopping"):
            return
        if engine.failure is None:
            return
        log.critical("the decode thread has ended; so does this worker")
        self._status = 1
        self._service.phase = "failed"
        self._service.fail_all(engine.failure)
        self._exit()

    async def _close_engine(self) -> None:
        engine = self._service.loaded
        if engine is None:
            return
        # A decode step cannot be interrupted; one that never ends must not keep the process alive.
        guard = threading.Timer(CLOSE_SECONDS, os._exit, (self._status,))
        guard.daemon = True
        guard.start()
        await asyncio.to_thread(engine.close)
        guard.cancel()


def _forbid_core_files() -> None:
    """A core file would hold every prompt in memory, readable by whoever finds it."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows, or an interpreter without a wheel: asyncio's own does
        return None
    return uvloop.new_event_loop
