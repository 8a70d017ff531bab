# SPDX-License-Identifier: GPL-3.0-or-later
"""One gateway process of a tap: what the supervisor told it, put together, and its life on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.tap.app import App
from llama_orch.tap.cors import Cors
from llama_orch.tap.drain import Clock, Drain
from llama_orch.tap.gate import Gate
from llama_orch.tap.listener import only_here
from llama_orch.tap.neighbours import Neighbours
from llama_orch.tap.routes import ROUTED
from llama_orch.tap.routing import Routing
from llama_orch.tap.server import Config, Server
from llama_orch.tap.supervisor.branch import Branch
from llama_orch.tap.supervisor.channel import Channel, Message
from llama_orch.tap.supervisor.options import options_of
from llama_orch.tap.supervisor.siblings import Siblings
from llama_orch.tap.tap import Tap
from llama_orch.tap.tls import context_of
from llama_orch_utils.errors import ConfigError, OrchError

if TYPE_CHECKING:
    from llama_orch.tap.authority import Authority
    from llama_orch.tap.config.record import TapConfig

log = logging.getLogger("llama_orch.tap")


@dataclass(frozen=True, slots=True)
class Start:
    """The supervisor's first message. `money` False: no ledger (a test's gateway); then `key` is what clients carry.

    `processes` is how many there are of them.
    """

    config: TapConfig
    host: str
    port: int
    ready: bool
    money: bool = True
    key: str | None = None
    processes: int = 1


Opened = tuple["Authority | None", Callable[[], Awaitable[None]]]


class Gateway:
    """From the first message to the end of the last answer."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._start: asyncio.Future[Start] = asyncio.get_running_loop().create_future()
        self._channel: Channel
        self._tap: Tap | None = None
        self._drain: Drain | None = None
        self._tls: ssl.SSLContext | None = None
        self.branch = Branch(self._say)
        self.siblings = Siblings(self._say)

    async def run(self, end: socket.socket) -> None:
        """Serves until the supervisor says that it is over, or has gone."""
        self._channel = await Channel.over(end, self._hear, self._orphaned)
        start = await self._start
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, lambda: None)  # only the supervisor is told by signals
        try:
            await self._serve(start)
        except OrchError as error:
            self._say("failed", error)
        self._channel.close()

    async def _serve(self, start: Start) -> None:
        config = start.config
        options = options_of(config, start.host, start.port)
        tap = self._tap = Tap(options, self.branch)
        tap.config, tap.siblings = config, self.siblings
        tap.routing = Routing(config, processes=start.processes)
        tap.routing.on_news = self._found
        self._tls = context_of(options)
        tap.routes = ROUTED
        authority, close = await _open_money(tap, config) if start.money else (None, _nothing)
        try:
            cors = Cors(options.origins)
            gate = Gate(options, start.key, cors, loopback=only_here(self._listener), authority=authority)
            await self._listen(tap, App(tap, gate, cors), ready=start.ready)
        finally:
            await tap.close()
            await close()

    async def _listen(self, tap: Tap, app: App, *, ready: bool) -> None:
        from llama_orch.tap.routing.status import teller

        server = Server(Config(app, tap.options, self._tls))
        self._drain = Drain(tap, lambda: setattr(server, "should_exit", True))
        clock = asyncio.create_task(Clock(tap, server.connections).run())
        neighbours = await Neighbours.open(tap, app)
        self.siblings.tellers["routes"] = lambda: teller(tap)
        self.siblings.tellers["metrics"] = lambda: _metrics(tap)
        if ready:
            tap.phase = "ready"
        self._say("serving", os.getpid())
        try:
            await server.serve(sockets=[self._listener])
        finally:
            await neighbours.close()
            clock.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await clock

    def _found(self, model: str, upstream: str, news: str) -> None:
        self._say("news", model, upstream, news)

    def _say(self, *message: object) -> None:
        self._channel.send(*message)

    def _hear(self, message: Message) -> None:
        word, *rest = message
        hearers: dict[str, Callable[..., None]] = {
            "start": self._begin,
            "models": self.branch.told,
            "leased": self.branch.leased,
            "failure": self.branch.failed,
            "news": self._news,
            "ask": self.siblings.asked,
            "gathered": self.siblings.gathered,
            "ready": self._ready,
            "config": self._reload,
            "drain": self._end,
        }
        hearers[word](*rest)

    def _begin(self, start: Start) -> None:
        self._start.set_result(start)

    def _ready(self) -> None:
        if self._tap is not None and self._tap.phase == "loading":
            self._tap.phase = "ready"

    def _news(self, model: str, upstream: str, news: str) -> None:
        if self._tap is not None and self._tap.routing is not None:
            self._tap.routing.hear(model, upstream, news)

    def _reload(self, config: TapConfig) -> None:
        tap = self._tap
        if tap is None or tap.routing is None:
            return
        try:
            tap.routing.update(config)
        except ConfigError:
            log.exception("the new configuration is not used")
            return
        tap.config = config
        if tap.admission is not None:
            tap.admission.reload(config)
        tap.options = options_of(config, tap.options.host, tap.options.port)
        tap.pool.connect_seconds = config.limits.connect_seconds
        if self._tls is not None and config.cert is not None:
            try:
                self._tls.load_cert_chain(config.cert, config.key_file)
            except (OSError, ssl.SSLError):
                log.exception("the new certificate cannot be used: the old one stays")

    def _end(self) -> None:
        if self._drain is not None:
            self._drain.begin()

    def _orphaned(self) -> None:
        """The supervisor has gone, and the workers with it: what runs here cannot end well."""
        if not self._start.done():
            self._start.cancel()
        if self._drain is not None:
            self._drain.begin()
            self._drain.cut()


async def _open_money(tap: Tap, config: TapConfig) -> Opened:
    from llama_orch.tap.admission import Admission

    admission = await Admission.open(tap, config)
    return admission.authority, admission.close


async def _nothing() -> None:
    """There is no ledger to be closed."""


def _metrics(tap: Tap) -> bytes:
    from llama_orch.tap.metrics.handler import exposition

    return exposition(tap)
