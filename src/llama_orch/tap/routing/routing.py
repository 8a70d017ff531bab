# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ways lead to which model, and which of them a request takes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from llama_orch.models import names
from llama_orch.tap.config.record import RoutingRules, TapConfig, TapModel, UpstreamSpec
from llama_orch.tap.routing import refusals
from llama_orch.tap.routing.breaker import Breaker
from llama_orch.tap.routing.budget import RetryBudget
from llama_orch.tap.routing.errand import Elsewhere, Errand
from llama_orch.tap.routing.local import Local
from llama_orch.tap.routing.remote import Remote, Whereabouts
from llama_orch.tap.routing.way import Way, heaviest
from llama_orch.tap.standing import standing
from llama_orch.tap.upstream import Address
from llama_orch_utils.errors import ConfigError, ModelNotFound, OrchError

if TYPE_CHECKING:
    from llama_orch.pool.fleet import FleetModel
    from llama_orch.pool.fleet.model import State
    from llama_orch.tap.routing.workers import Workers

log = logging.getLogger("llama_orch.tap")

_SHOWN = 100
_TAG = ":latest"
MOST_RETRIES = 0.2
"""Of all requests that may be sent a second time, whatever tap.toml says."""
FREE_RETRIES = 10
"""As many in a minute may be where there are fewer than 50 requests, of which a fifth would be next to nothing.

All processes of the tap have them together: each its part, one at least.
"""

News = Callable[[str, str, str], None]


class Routed:
    """One model, as tap.toml has it, and the ways to it; `here`: a worker of ours is among them."""

    def __init__(self, spec: TapModel, ways: Sequence[Way]) -> None:
        self.spec, self.ways = spec, tuple(ways)
        self.here = any(isinstance(way, Local) for way in ways)
        self._usable: dict[str, list[Way]] = {}  # by path, of which the table of routes has a few

    def context(self, workers: Workers) -> int | None:
        """Tokens of context per sequence, as far as anything is known of it."""
        if self.spec.context is not None or self.spec.local is None:
            return self.spec.context
        local = workers.find(self.spec.name)
        return local.context or local.context_train

    def standing(self, here: Collection[FleetModel]) -> State:
        """Whether it can be asked for; `here` are the workers' models."""
        upstreams = [way for way in self.ways if way.kind == "upstream"]
        return standing(self.spec, here, reachable=any(way.breaker.state != "open" for way in upstreams))

    def usable(self, path: str) -> list[Way]:
        """The ways that the gateway's `path` may go. Raises UnsupportedByTarget where there is none."""
        found = self._usable.get(path)
        if found is None:
            found = self._usable[path] = [way for way in self.ways if way.speaks(path)]
        if not found:
            raise refusals.unspoken(self.spec.name, path)
        return found


class Routing:
    """Of one of `processes` gateway processes.

    `on_news` hears what it finds out about upstreams: model, upstream, word.
    """

    def __init__(self, config: TapConfig, environ: Mapping[str, str] | None = None, *, processes: int = 1) -> None:
        self.on_news: News | None = None
        self._environ = os.environ if environ is None else environ
        self._models: dict[str, Routed] = {}
        self._addresses: dict[tuple[object, ...], Address] = {}
        self.budget = RetryBudget(min(config.routing.retry_ratio, MOST_RETRIES), max(1, FREE_RETRIES // processes))
        self.update(config)

    def update(self, config: TapConfig) -> None:
        """Another configuration from now on; what is known of upstreams that stay is kept. Raises ConfigError."""
        before = {(name, way.id): way for name, routed in self._models.items() for way in routed.ways}
        models = {model.name: Routed(model, self._ways(model, config, before)) for model in config.models}
        self.budget.ratio = min(config.routing.retry_ratio, MOST_RETRIES)
        self._models = models

    def all(self) -> list[Routed]:
        """Every model, in the order of the configuration."""
        return list(self._models.values())

    def find(self, name: str | None, allowed: Collection[str] = ()) -> Routed:
        """The model of that name (`x:latest` also means `x`); None the first. Raises ModelNotFound with near misses.

        `allowed`: there are no others, where any are named.
        """
        if name is None:
            if self._models:
                return next(iter(self._models.values()))
            raise ModelNotFound("this tap serves no model", hint="orch tap upstream add MODEL URL")
        found = self._models.get(name) or self._models.get(name.removesuffix(_TAG))
        if found is not None and (not allowed or found.spec.name in allowed):
            return found
        there = [each for each in self._models if not allowed or each in allowed]
        near = names.not_found(name[:_SHOWN], there).near_misses
        hint = f"did you mean {near[0]}? GET /v1/models lists all" if near else "GET /v1/models lists what is served"
        raise ModelNotFound(f"there is no model {name[:_SHOWN]!r} here", near_misses=near, hint=hint)

    def hear(self, model: str, upstream: str, news: str) -> None:
        """What another process of this tap found out."""
        routed = self._models.get(model)
        for way in routed.ways if routed is not None else ():
            if way.id == upstream and way.kind == "upstream":
                way.breaker.hear(news)

    async def answer(self, errand: Errand, routed: Routed) -> None:
        """Takes the request along one way after another until one answers. Raises what the last of them had."""
        usable = routed.usable(errand.route.path)
        errand.model = routed.spec.name
        self.budget.count()
        tried: list[Way] = []
        last: OrchError | None = None
        while True:
            way = await self._next(errand, routed.spec.name, usable, tried, last)
            tried.append(way)
            try:
                await way.answer(errand, alone=len(usable) == len(tried))
            except Elsewhere as elsewhere:
                last = elsewhere.error
                if len(tried) == len(usable) or (elsewhere.sent and not self.budget.spend()):
                    raise last from elsewhere
            else:
                return

    async def _next(
        self, errand: Errand, model: str, usable: Sequence[Way], tried: Collection[Way], last: OrchError | None
    ) -> Way:
        left = [way for way in usable if way not in tried]
        patience = errand.tap.pool.connect_seconds
        while True:
            way = _first_tier(left)
            if way is not None:
                return way
            undecided = next((way for way in left if way.breaker.undecided), None)
            if undecided is None or last is not None or not await undecided.breaker.change(patience):
                raise last or _none_left(model, left)

    def _ways(self, model: TapModel, config: TapConfig, before: Mapping[tuple[str, str], Way]) -> list[Way]:
        ways: list[Way] = []
        if model.local is not None:
            ways.append(before.get((model.name, Local.id)) or Local(model.name))
        remote = (self._remote(model, spec, config, before.get((model.name, spec.id))) for spec in model.upstreams)
        return [*ways, *remote]

    def _remote(self, model: TapModel, spec: UpstreamSpec, config: TapConfig, before: Way | None) -> Remote:
        there = Whereabouts(self._address(spec), spec.model or model.name)
        breaker = self._breaker(model.name, spec.id, config.routing)
        way = Remote(spec.id, model.name, there, spec.weight, breaker, config.limits)
        if isinstance(before, Remote) and before.there == there:
            way.count, way.breaker = before.count, before.breaker
            way.breaker.threshold, way.breaker.open_seconds = config.routing.failures, config.routing.open_seconds
        return way

    def _breaker(self, model: str, upstream: str, rules: RoutingRules) -> Breaker:
        breaker = Breaker(rules.failures, rules.open_seconds)
        breaker.on_news = lambda news: self._tell(model, upstream, news)
        return breaker

    def _tell(self, model: str, upstream: str, news: str) -> None:
        log.log(logging.WARNING if news == "failed" else logging.INFO, "upstream %s of %s: %s", upstream, model, news)
        if self.on_news is not None:
            self.on_news(model, upstream, news)

    def _address(self, spec: UpstreamSpec) -> Address:
        key = None
        if spec.key_env is not None:
            key = self._environ.get(spec.key_env, "").strip()
            if not key:
                raise ConfigError(
                    f"the upstream {spec.id} needs its key in {spec.key_env}, which is not set",
                    key="key_env",
                    hint=f"export {spec.key_env}=…",
                )
        address = Address(spec.url, key, spec.ca)
        _ = address.tls  # raises here and not in the midst of a request
        return self._addresses.setdefault((spec.url, key, spec.ca), address)


def _first_tier(left: Sequence[Way]) -> Way | None:
    """The next way of the first tier that has one that may be asked now."""
    if len(left) == 1:
        way = left[0]
        return way if way.breaker.admits() and not way.count.rests_for else None
    for tier in sorted({way.tier for way in left}):
        ready = [way for way in left if way.tier == tier and way.breaker.admits() and not way.count.rests_for]
        if ready:
            return ready[0] if len(ready) == 1 else heaviest(ready)
    return None


def _none_left(model: str, left: Sequence[Way]) -> OrchError:
    resting = [way.count.rests_for for way in left if way.count.rests_for and way.breaker.admits()]
    if resting:
        return refusals.busy(model, min(resting))
    return refusals.unavailable(model, min((way.breaker.opens_in for way in left), default=1.0))
