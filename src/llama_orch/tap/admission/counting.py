# SPDX-License-Identifier: GPL-3.0-or-later
"""What the money path counts for `/metrics`. No label names an account, a key or a request: there is no end of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llama_orch.tap.metrics.labels import Labels
from llama_orch.tap.metrics.tally import Counts, Spreads

if TYPE_CHECKING:
    from llama_orch.tap.admission.settling import Settling

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class _Open(Collector):
    def __init__(self, settling: Settling) -> None:
        self._settling = settling

    def collect(self) -> Iterator[Metric]:
        running, unwritten = len(self._settling.running), self._settling.unwritten
        yield GaugeMetricFamily("llama_orch_reservations_open", "Requests that money is reserved for", running)
        yield GaugeMetricFamily("llama_orch_settlements_unwritten", "Ends that the ledger has not taken yet", unwritten)


class Counting:
    """Admissions by what became of them, how long they took, and micro-euros by model."""

    def __init__(self, registry: CollectorRegistry, settling: Settling) -> None:
        self._labels = Labels()
        self._outcomes = Counts(
            "llama_orch_admissions",
            "Requests by admission: admitted, or the code of the refusal",
            ("outcome",),
            registry,
        )
        self._seconds = Spreads(
            "llama_orch_admission_seconds", "Until the reservation was durable", (), registry, bounds=_SECONDS
        ).of()
        self._charged = Counts("llama_orch_charged_microeuros", "What was charged", ("gen_ai_request_model",), registry)
        self._admitted = self._outcomes.of("admitted")
        registry.register(_Open(settling))

    def admitted(self, seconds: float) -> None:
        """One more, whose reservation took `seconds`."""
        self._admitted.value += 1
        self._seconds.observe(seconds)

    def refused(self, code: str) -> None:
        """One that was not let in."""
        self._outcomes.of(self._labels.outcome(code)).value += 1

    def charged(self, model: str, cost: int) -> None:
        """Micro-euros for an answer of `model`."""
        self._charged.of(self._labels.model(model)).value += cost
