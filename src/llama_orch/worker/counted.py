# SPDX-License-Identifier: GPL-3.0-or-later
"""What each request took that has ended here, for whoever compares it with what was charged for it.

Only requests with a ticket, which a gateway that charges gives them, and only on a Unix socket. The list is this
process's own: it does not go through the gateway that settles the request.
"""

from __future__ import annotations

import json
import secrets
from collections import deque
from typing import TYPE_CHECKING

from llama_orch.worker import terms
from llama_orch.worker.replies import header

if TYPE_CHECKING:
    from llama_orch.wire.routes import Route
    from llama_orch.worker.call import Call
    from llama_orch.worker.service import Service

AFTER = b"x-orch-after"
MOST = 20_000
"""Requests that are kept until somebody fetches them: of more, the oldest are forgotten."""
_PART = 1000
_OK = 200

Entry = tuple[int, str, str, int, int, str]


class Counted:
    """`life` names this process: after a restart it is another. Lives on the event loop."""

    def __init__(self) -> None:
        self.life = secrets.token_hex(8)
        self._number = 0
        self._entries: deque[Entry] = deque(maxlen=MOST)

    def note(self, call: Call) -> None:
        """A request has ended."""
        took = call.took
        if took is None or not call.trusted:
            return
        ticket = (header(call.scope, terms.TICKET) or b"").decode("latin-1")
        if ticket:
            self._number += 1
            counts = took.prompt_tokens, took.output_tokens
            self._entries.append((self._number, ticket, call.id, *counts, took.outcome))

    def after(self, known: str) -> list[Entry]:
        """The next ones, the oldest first, not all at once: behind `LIFE:NUMBER`; from the first for another life."""
        life, _, given = known.partition(":")
        number = int(given) if life == self.life and given.isdigit() else 0
        first = self._entries[0][0] if self._entries else 0
        start = max(0, number + 1 - first)
        return [self._entries[at] for at in range(start, min(start + _PART, len(self._entries)))]


async def handle(service: Service, call: Call, route: Route) -> None:  # noqa: ARG001 - one signature for all jobs
    """`{"life", "requests": [[number, ticket, request id, prompt tokens, output tokens, outcome], …]}`.

    `x-orch-after: LIFE:NUMBER` begins behind that one. An empty list: there are no more now.
    """
    from llama_orch.worker.running import check_trusted

    check_trusted(call)
    known = (header(call.scope, AFTER) or b"").decode("latin-1")
    found = {"life": service.counted.life, "requests": service.counted.after(known)}
    await call.reply(_OK, json.dumps(found, separators=(",", ":")).encode())
