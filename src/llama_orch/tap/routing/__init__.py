# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way a request goes: workers of this machine, servers elsewhere, by weight and by what is known of their health.

Health is passive: what real requests meet. Nothing is ever asked of an upstream only to see whether it lives.
"""

from llama_orch.tap.routing.routing import Routed, Routing

__all__ = ["Routed", "Routing"]
