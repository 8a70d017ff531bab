# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /api/version`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llama_orch.wire.shapes import TEXT, answer_object

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

SPOKEN = "0.34.0"
"""The Ollama release whose API is spoken here. Clients compare it with the oldest that they work with, and Open WebUI
reads it as three numbers: our own version would turn them away."""
ANSWER = answer_object({"version": TEXT})


async def handle(tap: Tap, call: Call) -> None:  # noqa: ARG001 - one signature for all handlers
    """The version of the API."""
    await call.reply(200, json.dumps({"version": SPOKEN}).encode())
