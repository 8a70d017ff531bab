# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/applets` and `POST /v1/applets/{id}`: applets for whoever calls this gateway.

A run has a process of its own, speaks MCP with it, and asks this very gateway with its caller's key: so it is admitted,
metered and paid like any request of that caller's. `offer.py` keeps the processes, `running.py` is one run.
"""

from __future__ import annotations

from llama_orch.tap.applets.running import listing, run

__all__ = ["listing", "run"]
