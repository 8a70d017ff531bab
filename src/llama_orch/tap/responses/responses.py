# SPDX-License-Identifier: GPL-3.0-or-later
"""All responses that the gateway knows: the stored ones, and those that run in the background."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llama_orch.tap.responses.harvest import Response
from llama_orch.tap.responses.item import StoredItem, stored
from llama_orch.tap.responses.refusals import no_response
from llama_orch.tap.responses.store import Store, StoredResponse
from llama_orch.wire.json_body import Json

if TYPE_CHECKING:
    from llama_orch.tap.responses.run import Run
    from llama_orch.tap.tap import Tap

_FINAL = ("completed", "incomplete")


class Responses:
    """Keys see only what is theirs: everything is found under the id of a key."""

    def __init__(self, tap: Tap, store: Store | None = None) -> None:
        self.tap = tap
        self.store = store or Store()
        self.runs: dict[tuple[str, str], Run] = {}

    def keep(
        self,
        owner: str,
        response: Response,
        given: tuple[StoredItem, ...],
        events: tuple[bytes, ...] | None = None,
    ) -> None:
        """Stores a response that has ended."""
        self.store.put(owner, record(response, given, events))

    def find(self, owner: str, identity: str) -> StoredResponse | Run:
        """The response. Raises RequestError (404)."""
        found = self.runs.get((owner, identity)) or self.store.get(owner, identity)
        if found is None:
            raise no_response(identity)
        return found

    async def forget(self, owner: str) -> None:
        """Ends what still runs for that key, and keeps nothing of it."""
        for run in [run for (whose, _), run in self.runs.items() if whose == owner]:
            await run.cancel()
        self.store.forget(owner)

    async def close(self) -> None:
        """Ends what runs."""
        tasks = [run.task for run in self.runs.values() if run.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def record(response: Response, given: tuple[StoredItem, ...], events: tuple[bytes, ...] | None) -> StoredResponse:
    """A response as it is stored."""
    output = response.get("output")
    return StoredResponse(
        str(response["id"]),
        dumped(response),
        given,
        tuple(stored(item) for item in output) if isinstance(output, list) else (),
        final=response.get("status") in _FINAL,
        background=response.get("background") is True,
        events=events,
    )


def dumped(response: Mapping[str, Json]) -> bytes:
    """A response as JSON."""
    return json.dumps(response, ensure_ascii=False).encode("utf-8", "replace")
