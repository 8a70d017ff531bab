# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /metrics`: what the gateway counts, for Prometheus.

Names, units and buckets follow the OpenTelemetry conventions for generative AI servers
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/) as Prometheus writes them: dots become underscores,
the unit is the suffix. Whatever a label says comes from a bounded set; a client cannot add one.
"""

from llama_orch.tap.metrics.handler import handle
from llama_orch.tap.metrics.metrics import Metrics

__all__ = ["Metrics", "handle"]
