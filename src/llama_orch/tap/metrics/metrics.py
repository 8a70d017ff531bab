# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters and histograms, fed once per request from the receipt that the worker sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics

from llama_orch.tap.metrics.labels import OTHER, Labels, dialect_of, operation_of
from llama_orch.tap.metrics.tally import Count, Counts, Spread, Spreads

if TYPE_CHECKING:
    from llama_orch.tap.routes import TapRoute
    from llama_orch.wire.receipt import Receipt

# The buckets that the conventions advise.
_DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_PER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_QUEUE = (0.001, 0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)

_WHAT = ("gen_ai_operation_name", "gen_ai_request_model", "dialect")
_OUTCOME = (*_WHAT, "outcome")
_TOKENS = (*_WHAT, "gen_ai_token_type")


@dataclass(frozen=True, slots=True)
class _Series:
    """The children of one combination of operation, model and dialect: looked up once. `durations` by outcome."""

    what: tuple[str, str, str]
    durations: dict[str, Spread]
    first: Spread
    token: Spread
    queue: Spread
    given: Count
    cached: Count
    made: Count


class Metrics:
    """What is counted since the start. `record` is called once per request; nothing else is on its way."""

    def __init__(self) -> None:
        disable_created_metrics()  # half of all lines, and nobody asks for them
        self.registry = CollectorRegistry()
        self._labels = Labels()
        self._series: dict[tuple[str, str, str | None], _Series] = {}
        self._duration = self._spreads("request_duration", "From the request to the end of its answer", _DURATION)
        self._first = self._spreads("time_to_first_token", "From the request to the first token", _FIRST_TOKEN)
        self._token = self._spreads("time_per_output_token", "Between two tokens, the median of one answer", _PER_TOKEN)
        self._queue = Spreads("llama_orch_queue_seconds", "Waiting for a slot", _WHAT, self.registry, bounds=_QUEUE)
        self._usage = Counts(
            "gen_ai_client_token_usage",
            "Tokens: input (cached ones included), cached (of the input), output",
            _TOKENS,
            self.registry,
        )
        ProcessCollector(registry=self.registry)

    def record(self, route: TapRoute, model: str | None, receipt: Receipt, seconds: float) -> None:
        """Counts one request that took `seconds`; `model` is an id of the fleet, None where none was meant."""
        series = self._series.get((route.path, route.job, model)) or self._found(route, model)
        outcome = self._labels.outcome(receipt.outcome)
        duration = series.durations.get(outcome)
        if duration is None:
            duration = series.durations[outcome] = self._duration.of(*series.what, outcome)
        duration.observe(seconds)
        if receipt.queue_seconds or receipt.prompt_tokens:
            series.queue.observe(receipt.queue_seconds)
        if receipt.output_tokens and receipt.first_token_seconds:
            series.first.observe(receipt.first_token_seconds)
        if receipt.output_tokens > 1 and receipt.token_seconds:
            series.token.observe(receipt.token_seconds)
        series.given.value += receipt.prompt_tokens
        series.cached.value += receipt.cached_tokens
        series.made.value += receipt.output_tokens

    def _found(self, route: TapRoute, model: str | None) -> _Series:
        """The children, from now on by what a request comes with; models beyond the bound share theirs."""
        dialect = dialect_of(route)
        label = self._labels.model(model)
        what = operation_of(route, dialect), label, dialect
        series = self._new(what)
        if label != OTHER:  # or the names of all models there ever were would be kept
            self._series[route.path, route.job, model] = series
        return series

    def _new(self, what: tuple[str, str, str]) -> _Series:
        usage = self._usage
        return _Series(
            what=what,
            durations={},
            first=self._first.of(*what),
            token=self._token.of(*what),
            queue=self._queue.of(*what),
            given=usage.of(*what, "input"),
            cached=usage.of(*what, "cached"),
            made=usage.of(*what, "output"),
        )

    def _spreads(self, name: str, text: str, bounds: tuple[float, ...]) -> Spreads:
        labels = _OUTCOME if name == "request_duration" else _WHAT
        return Spreads(f"gen_ai_server_{name}_seconds", text, labels, self.registry, bounds=bounds)
