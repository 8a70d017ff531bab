# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /health` and `GET /ready`: whether the gateway serves, for people and load balancers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llama_orch.tap.call import Call
from llama_orch.tap.standing import failed

if TYPE_CHECKING:
    from llama_orch.tap.tap import Tap

_OK, _UNAVAILABLE = 200, 503
_WORDS = {"ready": "ok", "loading": "loading model", "stopping": "stopping"}


async def health(tap: Tap, call: Call) -> None:
    """200 when the first models are loaded, 503 before and while it ends. Costs no token and wakes no model."""
    status = _OK if tap.phase == "ready" else _UNAVAILABLE
    headers = [] if status == _OK else [(b"retry-after", b"2")]
    await call.reply(status, json.dumps({"status": _WORDS[tap.phase]}).encode(), headers)


async def ready(tap: Tap, call: Call) -> None:
    """The same by the name that orchestrators use, and which models cannot be asked for although it serves."""
    status = _OK if tap.phase == "ready" else _UNAVAILABLE
    headers = [] if status == _OK else [(b"retry-after", b"2")]
    found = {"status": _WORDS[tap.phase], "failed": failed(tap)}
    await call.reply(status, json.dumps(found, ensure_ascii=False).encode(), headers)
