# SPDX-License-Identifier: GPL-3.0-or-later
"""The handler of `GET /metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

KIND = b"text/plain; version=0.0.4; charset=utf-8"


async def handle(tap: Tap, call: Call) -> None:
    """Everything in Prometheus' text format."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest

    from llama_orch.tap.metrics.gauges import Gauges

    now = CollectorRegistry()
    now.register(Gauges(tap))
    await call.reply(200, generate_latest(tap.metrics.registry) + generate_latest(now), kind=KIND)
