# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetches what the workers' engines counted and writes it into the ledger, beside the gateways that settle.

`orch tap check` compares the two. What is not fetched (a worker that was killed a moment after an answer) is not
compared; nothing is ever charged by it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, cast

from llama_orch.ledger.records import EngineCount
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.ledger.ledger import Ledger
    from llama_orch.pool.fleet import Fleet

log = logging.getLogger("llama_orch.tap")

EVERY_SECONDS = 2.0
_PATIENCE = 5.0
_QUESTION = "GET /orch/counted HTTP/1.1\r\nhost: localhost\r\nx-orch-after: {}\r\nconnection: close\r\n\r\n"


class Counts:
    """`database` is the ledger's URL. Lives on the event loop of the supervisor."""

    def __init__(self, fleet: Fleet, database: str) -> None:
        self._fleet, self._database = fleet, database
        self._ledger: Ledger | None = None
        self._fetched: dict[str, str] = {}  # by socket, as `x-orch-after` has it
        self._away = False

    async def run(self) -> None:
        """Until it is cancelled. What fails now is fetched again at the next turn: the workers keep it."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.turn()

    async def turn(self) -> None:
        """Looks once at every worker."""
        try:
            for socket in self._fleet.sockets():
                while await self._note(socket):
                    pass
            self._away = False
        except OrchError as error:
            if not self._away:
                log.warning("what the engines counted waits: %s", error.message)
            self._away = True

    async def close(self) -> None:
        """Fetches what is there to the end, and lets go of the ledger."""
        await self.turn()
        if self._ledger is not None:
            await self._ledger.close()

    async def _note(self, socket: str) -> bool:
        """Notes the next requests of the worker at `socket`; whether there may be more. Raises LedgerAway."""
        life, ended = await _told(socket, self._fetched.get(socket, ""))
        if not ended:
            return False
        if self._ledger is None:
            from llama_orch.ledger.ledger import Ledger

            self._ledger = await Ledger.open(self._database)
        await self._ledger.count_engine(life, ended)
        self._fetched[socket] = f"{life}:{ended[-1].number}"
        return True


async def _told(socket: str, after: str) -> tuple[str, list[EngineCount]]:
    """The worker's life, and what has ended behind `after`; nothing where it does not answer."""
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(_QUESTION.format(after).encode())
                answer = await reader.read(-1)
            finally:
                writer.close()
        found = cast("dict[str, Any]", json.loads(answer.partition(b"\r\n\r\n")[2]))
        return str(found["life"]), [_count(*entry) for entry in found["requests"]]
    except (OSError, ValueError, KeyError, TypeError):  # it is on its way out, or cut off in the middle of a word
        return "", []


def _count(number: int, ticket: str, request_id: str, prompt: int, output: int, outcome: str) -> EngineCount:
    return EngineCount(number, int(ticket), request_id, prompt, output, outcome)
