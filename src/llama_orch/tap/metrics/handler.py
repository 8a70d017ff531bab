# SPDX-License-Identifier: GPL-3.0-or-later
"""The handler of `GET /metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

KIND = b"text/plain; version=0.0.4; charset=utf-8"


async def handle(tap: Tap, call: Call) -> None:
    """Everything in Prometheus' text format; of a tap with several processes, added up."""
    own = exposition(tap)
    if tap.siblings is not None:
        from llama_orch.tap.metrics.adding import added

        own = added(await tap.siblings.gather("metrics", own))
    await call.reply(200, own, kind=KIND)


def exposition(tap: Tap) -> bytes:
    """What this process has counted."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest

    from llama_orch.tap.metrics.gauges import Gauges

    now = CollectorRegistry()
    now.register(Gauges(tap))
    return generate_latest(tap.metrics.registry) + generate_latest(now)
