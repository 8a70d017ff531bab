# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /v1/applets` and `POST /v1/applets/{id}`: applets for whoever calls this gateway.

A run has a process of its own, speaks MCP with it, and asks this gateway with a key of its own, made of its caller's:
it is admitted, metered and paid as that caller's requests are, up to a cap that the ledger keeps. `offered.py` says
which applets there are, `offer.py` keeps the processes, `door.py` is where runs ask, `running.py` is one run.
"""

from __future__ import annotations

from llama_orch.tap.applets.handling import listing, run

__all__ = ["listing", "run"]
