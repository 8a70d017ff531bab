# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters and histograms that cost a request next to nothing: plain numbers, put into Prometheus' form at a scrape.

The event loop alone feeds them, so none needs a lock; `prometheus_client`'s own take one for each number.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString  # pyright: ignore[reportUnknownVariableType] - its text

Labels = tuple[str, ...]


class Count:
    """One counter: add to `value`."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Counts(Collector):
    """Counters of one name, by their labels. `name` comes without `_total`."""

    def __init__(self, name: str, text: str, labels: Labels, registry: CollectorRegistry) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._children: dict[Labels, Count] = {}
        registry.register(self)

    def of(self, *labels: str) -> Count:
        """The one with these labels, made where there is none."""
        found = self._children.get(labels)
        return self._children.setdefault(labels, Count()) if found is None else found

    def collect(self) -> Iterator[Metric]:
        """For a scrape."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, count in self._children.items():
            family.add_metric(labels, count.value)
        yield family


class Spread:
    """One histogram."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """One more value: it counts where it is not above the bound."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Spreads(Collector):
    """Histograms of one name with the same bounds, by their labels."""

    def __init__(
        self, name: str, text: str, labels: Labels, registry: CollectorRegistry, *, bounds: Sequence[float]
    ) -> None:
        self._name, self._text, self._labels, self._bounds = name, text, labels, bounds
        self._words = [*(floatToGoString(bound) for bound in bounds), "+Inf"]
        self._children: dict[Labels, Spread] = {}
        registry.register(self)

    def of(self, *labels: str) -> Spread:
        """The one with these labels, made where there is none."""
        found = self._children.get(labels)
        return self._children.setdefault(labels, Spread(self._bounds)) if found is None else found

    def collect(self) -> Iterator[Metric]:
        """For a scrape: each bucket counts those below it too."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for labels, spread in self._children.items():
            reached, buckets = 0, list[tuple[str, float]]()
            for word, count in zip(self._words, spread.counts, strict=True):
                reached += count
                buckets.append((word, reached))
            family.add_metric(labels, buckets, spread.total)
        yield family
