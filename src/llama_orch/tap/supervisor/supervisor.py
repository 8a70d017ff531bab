# SPDX-License-Identifier: GPL-3.0-or-later
"""The process over the gateways: starts them, starts them again, reloads, drains."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llama_orch.pool.fleet import Fleet, FleetModel
from llama_orch.tap.applets.offered import check as check_offered
from llama_orch.tap.routing import Routing
from llama_orch.tap.settings import Ready
from llama_orch.tap.standing import standing
from llama_orch.tap.supervisor.channel import Message
from llama_orch.tap.supervisor.counts import Counts
from llama_orch.tap.supervisor.gateway import Start
from llama_orch.tap.supervisor.member import GatewayPlace
from llama_orch.tap.supervisor.shop import Shop
from llama_orch.tap.supervisor.siblings import Round
from llama_orch_utils.errors import EngineFailed, OrchError

if TYPE_CHECKING:
    from llama_orch.tap.config.record import TapConfig

log = logging.getLogger("llama_orch.tap")

_AFTER_GRACE = 5.0
_CLOSE_SECONDS = 2.0
_MOST_DEATHS = 5
_TELL_SECONDS = 1.0

Reload = Callable[[], "TapConfig"]


class Supervisor:
    """`listeners` are the listening sockets, one per process. `reload` reads the configuration anew."""

    def __init__(
        self, start: Start, listeners: Sequence[socket.socket], fleet: Fleet | None, shop: Shop, reload: Reload
    ) -> None:
        self._start, self._fleet, self._shop, self._reload_config = start, fleet, shop, reload
        self._places = [GatewayPlace(number, each, self, fleet) for number, each in enumerate(listeners)]
        self._stopping = self._ready = False
        self._failure: OrchError | None = None
        self._over = asyncio.Event()
        self._serving = asyncio.Event()
        self._rounds: dict[int, Round] = {}
        self._numbers = itertools.count(1)
        self.on_reload: Callable[[TapConfig], None] | None = None
        self.counts: Counts | None = None

    async def run(self, url: str, announce: Callable[[Ready], None]) -> None:
        """Until it is told to end. Raises what a gateway or the first models met at the start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)
        if self._fleet is not None:
            self._fleet.on_change = self._changed
            await self._fleet.start()
        tasks = [asyncio.create_task(place.run()) for place in self._places]
        first = asyncio.create_task(self._begin(url, announce))
        telling = asyncio.create_task(self._tell_models())
        counting = None if self.counts is None else asyncio.create_task(self.counts.run())
        try:
            await self._over.wait()
            await self._end()
        finally:
            first.cancel()
            telling.cancel()
            await asyncio.gather(first, telling, *tasks, return_exceptions=True)
            if self.counts is not None and counting is not None:
                counting.cancel()
                await asyncio.gather(counting, return_exceptions=True)
                await self.counts.close()
            if self._fleet is not None:
                await self._fleet.close(_CLOSE_SECONDS)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Told to end; the second time, not to wait."""
        if self._stopping:
            self._send_all("drain")
        self._stopping = True
        self._over.set()

    def reload(self) -> None:
        """Told that tap.toml has changed. A configuration that cannot be used changes nothing."""
        try:
            config = self._reload_config()
            Routing(config)  # raises for an upstream that cannot be meant
            check_offered(config)
        except OrchError as error:
            log.error("the configuration is not used, the old one stays: %s", error.message)  # noqa: TRY400 - no defect
            return
        self._start = replace(self._start, config=config)
        self._shop.update(config.models)
        if self._fleet is None and any(model.local is not None for model in config.models):
            log.warning("local models were added to a tap that had none: they are served after a restart")
        self._send_all("config", config)
        if self.on_reload is not None:
            self.on_reload(config)
        log.warning("the configuration was read again")

    # For the places

    def start_of(self) -> Start:
        """What a new gateway process is told first."""
        return replace(self._start, ready=self._ready)

    def hear(self, member: GatewayPlace, message: Message) -> None:
        """What a gateway says that is not for its desk."""
        word, *rest = message
        if word == "born":
            member.send("models", self._models())
        elif word == "serving":
            if all(place.serving for place in self._places):
                self._serving.set()
        elif word == "news":
            self._send_all("news", *rest, but=member)
        elif word == "gather":
            self._gather(member, *rest)
        elif word == "told":
            number, said = rest
            if number in self._rounds:
                self._rounds[number].hear(member.number, said)
        elif word == "failed":
            self._failed(rest[0])

    def _failed(self, error: OrchError) -> None:
        """A gateway cannot start. The first time that is the answer of the command; later it is tried again."""
        if self._serving.is_set():
            log.error("a gateway process could not start: %s", error.message)
            return
        self._failure = self._failure or error
        self._over.set()

    def _gather(self, member: GatewayPlace, number: int, kind: str) -> None:
        others = {place.number: place for place in self._places if place is not member and place.serving}
        mine = next(self._numbers)

        def end(answers: list[bytes]) -> None:
            self._rounds.pop(mine, None)
            member.send("gathered", number, answers)

        found = Round(others, end)
        if not found.over:
            self._rounds[mine] = found
            for place in others.values():
                place.send("ask", mine, kind)

    async def _begin(self, url: str, announce: Callable[[Ready], None]) -> None:
        try:
            await self._settled()
            await self._all_serving()
        except OrchError as error:
            self._failure = self._failure or error
            self._over.set()
            return
        self._ready = True
        self._send_all("ready")
        models, here = self._start.config.models, self._models()
        served = tuple(model.name for model in models if standing(model, here) != "failed")
        failed = {model.name: _why(model.name, here) for model in models if model.name not in served}
        announce(Ready(url, None, served, os.getpid(), failed))

    async def _settled(self) -> None:
        """The local models are loaded, or all were tried. Raises where that leaves nothing to serve."""
        if self._fleet is None:
            return
        try:
            await self._fleet.settled()
        except OrchError:
            if not any(model.upstreams for model in self._start.config.models):
                raise
        for model in self._models():
            if model.state == "failed" and model.error is not None:
                log.error("%s is not loaded: %s", model.id, model.error.message)

    async def _all_serving(self) -> None:
        while not self._serving.is_set():
            if max(place.restarts for place in self._places) > _MOST_DEATHS:
                raise EngineFailed("the gateway processes end as soon as they start", code="spawn_failed")
            try:
                async with asyncio.timeout(_TELL_SECONDS):
                    await self._serving.wait()
            except TimeoutError:
                continue

    async def _end(self) -> None:
        """No new connections, the grace period for what runs; then the end of whatever has not ended."""
        for place in self._places:
            place.over = True
            place.close_listener()
        self._send_all("drain")
        grace = self._start.config.limits.grace + _AFTER_GRACE
        waiting = [asyncio.create_task(place.ended.wait()) for place in self._places]
        await asyncio.wait(waiting, timeout=grace)
        for place in self._places:
            place.kill()
        await asyncio.wait(waiting, timeout=_AFTER_GRACE)
        for task in waiting:
            task.cancel()

    def _changed(self, model: FleetModel) -> None:  # noqa: ARG002 - all are told at once
        self._send_all("models", self._models())

    async def _tell_models(self) -> None:
        """What changes without a change of state (requests, the time of the last one) is told now and then."""
        while self._fleet is not None:
            await asyncio.sleep(_TELL_SECONDS)
            self._send_all("models", self._models())

    def _models(self) -> list[FleetModel]:
        return [] if self._fleet is None else self._fleet.models()

    def _send_all(self, *message: object, but: GatewayPlace | None = None) -> None:
        for place in self._places:
            if place is not but:
                place.send(*message)


def _why(name: str, here: Sequence[FleetModel]) -> str:
    """Why a local model is not served, for the operator."""
    error = next((model.error for model in here if model.id == name), None)
    return "it is not loaded" if error is None else error.message
