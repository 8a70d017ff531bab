# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a worker beside the request itself: how far its requests are, and to end one of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from llama_orch.ledger.records import Usage

if TYPE_CHECKING:
    from llama_orch.tap.upstream import Pool

_OK = 200
_COUNTS = 4
_CANCEL = (
    b"POST /orch/cancel HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 0\r\n"
    b"x-orch-ticket: %b\r\n\r\n"
)
_RUNNING = b"GET /orch/running HTTP/1.1\r\nhost: localhost\r\n\r\n"


async def cancel(pool: Pool, socket: str, ticket: str) -> bool:
    """Ends the request with this ticket, whose answer still comes; False where there is none.

    Raises OSError, UpstreamBroken: the worker has gone.
    """
    found = await _asked(pool, socket, _CANCEL % ticket.encode())
    return bool(json.loads(found)["cancelled"])


async def running(pool: Pool, socket: str) -> dict[str, Usage]:
    """What each request took until now, by ticket. Raises as `cancel`."""
    told = cast("dict[str, list[int]]", json.loads(await _asked(pool, socket, _RUNNING))["running"])
    found: dict[str, Usage] = {}
    for ticket, counts in told.items():
        prompt, cached, output, gpu = (*counts, 0, 0, 0, 0)[:_COUNTS]
        found[ticket] = Usage(prompt, cached, output, gpu_microseconds=gpu, partial=True)
    return found


async def _asked(pool: Pool, socket: str, head: bytes) -> bytes:
    connection = await pool.acquire(socket)
    try:
        await connection.ask(head, b"")
        parts: list[bytes] = []
        while chunk := await connection.read():
            parts.append(chunk)
    finally:
        pool.release(socket, connection)
    if connection.status != _OK:
        raise OSError(f"the worker answered {connection.status}")
    return b"".join(parts)
