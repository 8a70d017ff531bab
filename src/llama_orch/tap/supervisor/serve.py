# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap serve`, from a configuration to an exit status."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llama_orch.tap.applets.offered import check as check_offered
from llama_orch.tap.listener import BACKLOG, resolve, url_of
from llama_orch.tap.process import set_limits
from llama_orch.tap.settings import Ready
from llama_orch.tap.supervisor.counts import Counts
from llama_orch.tap.supervisor.gateway import Start
from llama_orch.tap.supervisor.options import options_of
from llama_orch.tap.supervisor.shop import Shop
from llama_orch.tap.supervisor.supervisor import Reload, Supervisor
from llama_orch.tap.tls import context_of
from llama_orch_utils.errors import ConfigError
from llama_orch_utils.targets.local import WorkerSettings

if TYPE_CHECKING:
    from llama_orch.pool.fleet import Fleet
    from llama_orch.tap.config.record import TapConfig, TapModel

_TAKEN_SECONDS = 2.0
"""The processes of a supervisor that was killed let go of their port a moment later."""


def serve_tap(
    config: TapConfig,
    announce: Callable[[Ready], None],
    *,
    host: str | None = None,
    port: int | None = None,
    processes: int | None = None,
    reload: Reload | None = None,
    money: bool = True,
    key: str | None = None,
) -> int:
    """Serves the tap until SIGTERM or SIGINT; the exit status. SIGHUP reads the configuration again.

    `host`, `port` and `processes` override the configuration (processes: one per core unless it says otherwise).
    `announce` is called once, when all processes serve and the first models are loaded. `money` False serves without a
    ledger, to whoever has the `key`. Raises ConfigError (address, certificate, upstreams, applets, database),
    EngineFailed where a local model cannot be loaded.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    options = options_of(config, host or config.listen_host, config.listen_port if port is None else port)
    set_limits(options)
    check_offered(config)
    tls = context_of(options)
    family, place, _ = resolve(options)
    count = processes or config.processes or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    listeners = _listeners(family, place, count, options.port)
    start = Start(config, options.host, int(listeners[0].getsockname()[1]), ready=False, money=money, key=key)
    start = replace(start, processes=count)
    url = config.url or url_of(listeners[0], tls=tls is not None)
    with asyncio.Runner() as runner:
        return runner.run(_run(start, listeners, reload or _reader(config), url, announce))


async def _run(
    start: Start, listeners: list[socket.socket], reload: Reload, url: str, announce: Callable[[Ready], None]
) -> int:
    shop = Shop(start.config.models)
    fleet = _fleet(start.config, shop)
    supervisor = Supervisor(start, listeners, fleet, shop, reload)
    if fleet is not None and start.money:
        supervisor.counts = Counts(fleet, start.config.database)
    notices = _notices(start)
    if notices is not None:
        supervisor.on_reload = notices.reload
    try:
        await supervisor.run(url, announce)
    finally:
        if notices is not None:
            notices.close()
        for listener in listeners:
            listener.close()
    return 0


def _listeners(family: int, place: tuple[object, ...], count: int, port: int) -> list[socket.socket]:
    """`count` sockets that listen on one port, which the kernel shares connections out to."""
    _check_free(family, place, port)
    found: list[socket.socket] = []
    for _ in range(count):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((place[0], found[0].getsockname()[1], *place[2:]) if found else place)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        found.append(listener)
    return found


def _check_free(family: int, place: tuple[object, ...], port: int) -> None:
    """With SO_REUSEPORT a second tap would share the port with the first without a word."""
    deadline = time.monotonic() + _TAKEN_SECONDS
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
                probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                    time.sleep(0.05)
                    continue
                elsewhere = error.errno == errno.EADDRNOTAVAIL
                raise ConfigError(
                    f"cannot listen on {place[0]}, port {port}: {error.strerror}",
                    key="host" if elsewhere else "port",
                    hint="orch tap serve --host 127.0.0.1" if elsewhere else "orch tap serve --port 0 finds a free one",
                ) from error
            return


def _fleet(config: TapConfig, shop: Shop) -> Fleet | None:
    """The one fleet of local workers; None where no model runs here."""
    from llama_orch.pool.fleet import Fleet

    local = [model for model in config.models if model.local is not None]
    if not local:
        return None
    workers = config.workers
    settings = WorkerSettings(
        threads=workers.threads, gpu_layers=workers.gpu_layers, keep_alive=int(workers.keep_alive)
    )
    own = {model.name: _settings(settings, model) for model in local}
    return Fleet(
        [shop.resolve(model.name) for model in local],
        store=shop,
        settings=settings,
        pinned=[model.name for model in local if model.pinned],
        memory=workers.memory,
        own=own,
    )


def _settings(settings: WorkerSettings, model: TapModel) -> WorkerSettings:
    given: Mapping[str, Any] = {"context": model.context, "slots": model.slots}
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


def _reader(config: TapConfig) -> Reload:
    def read() -> TapConfig:
        from llama_orch.tap.config.reading import read

        return read(config.folder)

    return read


def _notices(start: Start) -> Any:
    """The thread that warns of low balances and takes the month's fee, once for the whole tap."""
    if not start.money:
        return None
    from llama_orch.tap import notices

    return notices.start(start.config)
