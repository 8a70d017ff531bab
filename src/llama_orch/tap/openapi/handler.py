# SPDX-License-Identifier: GPL-3.0-or-later
"""The handler of `GET /openapi.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap


async def handle(tap: Tap, call: Call) -> None:
    """The document; made once, when it is first asked for."""
    from llama_orch.tap.openapi.document import rendered

    await call.reply(200, rendered(keyless=tap.options.no_auth, accounts=tap.admission is not None))
