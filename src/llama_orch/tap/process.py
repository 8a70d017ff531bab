# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's life: listen, load, serve, drain, end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import replace

import uvloop

from llama_orch.pool.fleet import Fleet
from llama_orch.tap.app import App
from llama_orch.tap.cors import Cors
from llama_orch.tap.drain import Clock, Drain
from llama_orch.tap.gate import Gate
from llama_orch.tap.listener import key_for, listen, resolve, url_of
from llama_orch.tap.server import Config, Server
from llama_orch.tap.settings import Ready, ServeOptions
from llama_orch.tap.tap import Tap
from llama_orch.tap.tls import context_of
from llama_orch_utils.secrets.secret import Secret
from llama_orch_utils.targets.local import LoadEvent

Announce = Callable[[Ready], None]
Hear = Callable[[str, LoadEvent], None]

_CLOSE_SECONDS = 2.0
_SPARE_FILES = 256


def serve(options: ServeOptions, announce: Announce, *, hear: Hear | None = None) -> int:
    """Serves until SIGTERM or SIGINT; the exit status.

    `announce` is called once, when the first models are loaded, `hear` with a model's id and what its worker says while
    it loads. Raises ConfigError (address, key, certificate, engine), EngineFailed where a model that was named cannot
    be loaded.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    set_limits(options)
    tls = context_of(options)
    family, place, loopback = resolve(options)
    key = key_for(options, loopback=loopback)
    cors = Cors(options.origins, keyless=key is None)
    gate = Gate(options, None if key is None else key.value, cors, loopback=loopback)
    with listen(options, family, place) as listener, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        process = Process(options, listener, url_of(listener, tls=tls is not None), key)
        return runner.run(process.run(gate, cors, tls, announce, hear))


class Process:
    """Holds the parts together while the event loop runs."""

    def __init__(self, options: ServeOptions, listener: socket.socket, url: str, key: Secret | None) -> None:
        self._options, self._listener, self._url, self._key = options, listener, url, key

    async def run(self, gate: Gate, cors: Cors, tls: object, announce: Announce, hear: Hear | None) -> int:
        """Listens at once (a request while loading gets a 503 that says so), loads beside it, serves until the end."""
        fleet = _fleet(self._options)
        tap = Tap(self._options, fleet)
        fleet.on_event = hear
        server = Server(Config(App(tap, gate, cors), self._options, tls))  # pyright: ignore[reportArgumentType]
        drain = Drain(tap, lambda: setattr(server, "should_exit", True))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, drain.begin)
        await fleet.start()
        clock = loop.create_task(Clock(tap, server.connections).run())
        loading = loop.create_task(self._load(tap, fleet, drain, announce))
        try:
            await server.serve(sockets=[self._listener])
            return await _outcome(loading)
        finally:
            clock.cancel()
            await tap.close()
            await fleet.close(_CLOSE_SECONDS)

    async def _load(self, tap: Tap, fleet: Fleet, drain: Drain, announce: Announce) -> None:
        try:
            await fleet.settled()
        except BaseException:
            drain.begin()
            raise
        if tap.phase == "loading":
            tap.phase = "ready"
            loaded = tuple(model.id for model in tap.fleet.models() if model.state == "ready")
            announce(Ready(self._url, self._key, loaded, os.getpid()))


async def _outcome(loading: asyncio.Task[None]) -> int:
    """0, or what went wrong with the first models."""
    if not loading.done():
        loading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await loading
    return 0


def _fleet(options: ServeOptions) -> Fleet:
    from llama_orch.models.store import Store

    settings = replace(
        options.worker,
        context=options.context,
        slots=options.slots,
        threads=options.threads,
        gpu_layers=options.gpu_layers,
        keep_alive=options.keep_alive,
    )
    store = Store() if options.installed else None
    return Fleet(options.models, store=store, settings=settings, pinned=options.pinned, memory=options.memory)


def set_limits(options: ServeOptions) -> None:
    """Room for the connections, and no core files: one would hold every prompt in memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * options.max_connections + _SPARE_FILES
    if hard == resource.RLIM_INFINITY or hard > soft:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
