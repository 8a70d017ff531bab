# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /metrics`: what this worker counts, for Prometheus.

Names, units and buckets follow the OpenTelemetry conventions for generative AI servers
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/), as in the gateway's own metrics. A label is one of
the dialects of `wire.routes`, or a word of the error tree; there is one model here, so none names it.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from llama_orch.wire.receipt import Receipt
from llama_orch.wire.routes import Route
from llama_orch.worker.call import Call
from llama_orch.worker.service import Loaded, Service

KIND = b"text/plain; version=0.0.4; charset=utf-8"
MOST_OUTCOMES = 64
_DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_PER_TOKEN = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)


class Metrics:
    """What is counted since the model was loaded. `record` is called once per request."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        server = "gen_ai_server_"
        self._duration = Histogram(
            f"{server}request_duration_seconds",
            "From the request to the end of its answer",
            ("dialect", "outcome"),
            buckets=_DURATION,
            registry=registry,
        )
        self._first = Histogram(
            f"{server}time_to_first_token_seconds",
            "From the request to the first token",
            ("dialect",),
            buckets=_FIRST_TOKEN,
            registry=registry,
        )
        self._token = Histogram(
            f"{server}time_per_output_token_seconds",
            "Between two tokens, the median of one answer",
            ("dialect",),
            buckets=_PER_TOKEN,
            registry=registry,
        )
        self._usage = Counter(
            "gen_ai_client_token_usage",
            "Tokens: input (cached ones included), cached (of the input), output",
            ("dialect", "gen_ai_token_type"),
            registry=registry,
        )
        self._outcomes: set[str] = set()
        ProcessCollector(registry=registry)

    def record(self, route: Route, took: Receipt) -> None:
        """Counts one request of a dialect."""
        dialect = route.dialect.partition(":")[0].rpartition(".")[2]
        self._duration.labels(dialect, self._outcome(took.outcome)).observe(took.total_seconds)
        if took.output_tokens and took.first_token_seconds:
            self._first.labels(dialect).observe(took.first_token_seconds)
        if took.token_seconds:
            self._token.labels(dialect).observe(took.token_seconds)
        counts = {"input": took.prompt_tokens, "cached": took.cached_tokens, "output": took.output_tokens}
        for kind, tokens in counts.items():
            self._usage.labels(dialect, kind).inc(tokens)

    def _outcome(self, outcome: str) -> str:
        if len(self._outcomes) < MOST_OUTCOMES:
            self._outcomes.add(outcome)
        return outcome if outcome in self._outcomes else "_OTHER"


class _Engine(Collector):
    """What is read off the engine at the moment somebody asks."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def collect(self) -> Iterator[Metric]:
        """The metric families, with the values of now."""
        shot, slots = self._loaded.snapshot(), self._loaded.slots
        yield GaugeMetricFamily("llama_orch_requests_running", "Sequences that the engine computes now", shot.active)
        yield GaugeMetricFamily("llama_orch_queue_depth", "Sequences that wait for the engine", shot.queued)
        yield GaugeMetricFamily("llama_orch_slots", "Sequences that the engine computes at once", slots)
        yield GaugeMetricFamily("llama_orch_cache_cells", "Tokens that the engine's memory holds", shot.cells)
        yield GaugeMetricFamily("llama_orch_cache_cells_free", "Tokens that it has room for", shot.cells_free)
        counters = shot.counters
        for name, text, value in (
            ("steps", "Batches computed", counters.steps),
            ("rows", "Tokens computed", counters.rows),
            ("decode_seconds", "Time spent computing them", counters.decode_seconds),
            ("prompt_tokens", "Tokens of the prompts that were begun", counters.prompt_tokens),
            ("cached_tokens", "Those of them that were there already", counters.cached_tokens),
            ("output_tokens", "Tokens sampled", counters.output_tokens),
            ("preemptions", "Sequences that lost their place to others", counters.preemptions),
            ("cancellations", "Sequences whose client had gone", counters.cancellations),
            ("proposed_tokens", "Tokens that the draft model proposed", counters.proposed_tokens),
            ("accepted_tokens", "Those of them that were said", counters.accepted_tokens),
        ):
            yield CounterMetricFamily(f"llama_orch_engine_{name}", text, value)


async def handle(service: Service, call: Call, route: Route) -> None:  # noqa: ARG001 - one signature for all jobs
    """Everything in Prometheus' text format. Raises EngineFailed (503) while the model is being loaded."""
    now = CollectorRegistry()
    now.register(_Engine(service.either))
    counted = b"" if service.metrics is None else generate_latest(service.metrics.registry)
    await call.reply(200, counted + generate_latest(now), media=KIND)
