# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read off the gateway at the moment somebody asks: queues, loaded models, workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llama_orch.tap.metrics.labels import MOST_MODELS

if TYPE_CHECKING:
    from llama_orch.pool.fleet import FleetModel
    from llama_orch.tap.tap import Tap

_MODEL = ("gen_ai_request_model",)


class Gauges(Collector):
    """Collects from one gateway. Models that nobody asked for yet have no series."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap

    def collect(self) -> Iterator[Metric]:
        """The metric families, with the values of now."""
        load = self._tap.load()
        models = [each for each in self._tap.fleet.models() if _touched(each) or each.id in load][:MOST_MODELS]
        running = GaugeMetricFamily("llama_orch_requests_running", "Requests that a worker answers now", labels=_MODEL)
        waiting = GaugeMetricFamily("llama_orch_queue_depth", "Requests that wait for a slot", labels=_MODEL)
        loaded = GaugeMetricFamily("llama_orch_model_loaded", "1 while a worker serves the model", labels=_MODEL)
        memory = GaugeMetricFamily(
            "llama_orch_model_memory_bytes", "Memory that the model's worker is reckoned with", labels=_MODEL
        )
        restarts = CounterMetricFamily(
            "llama_orch_worker_restarts", "Workers started again after one had died", labels=_MODEL
        )
        for model in models:
            label = (model.id,)
            active, queued = load.get(model.id, (0, 0))
            running.add_metric(label, active)
            waiting.add_metric(label, queued)
            loaded.add_metric(label, model.state == "ready")
            memory.add_metric(label, model.memory)
            restarts.add_metric(label, model.restarts)
        yield GaugeMetricFamily(
            "llama_orch_models_loaded", "Models that a worker serves now", sum(each.state == "ready" for each in models)
        )
        yield from (running, waiting, loaded, memory, restarts)


def _touched(model: FleetModel) -> bool:
    return model.state != "unloaded" or model.used_at is not None
