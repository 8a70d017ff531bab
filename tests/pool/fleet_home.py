# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet in a home of its own, small models for it, and questions to its workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llama_orch.models.store import Store
from llama_orch.models.stored_model import StoredModel
from llama_orch.pool.fleet import Fleet, FleetModel, Lease
from llama_orch_utils.targets.local import WorkerSettings

WAIT = 60.0
SMALL = WorkerSettings(context=256, slots=2, keep_alive=-1)
ONE = 90 * 2**20
"""A little more than one worker of a tiny model is reckoned with."""
ENDLESS: dict[str, Any] = {"stream": True, "seed": 1, "max_tokens": 200, "logit_bias": {"509": -100, "511": -100}}


@dataclass
class Seen:
    """A running fleet, and every change that it told."""

    fleet: Fleet
    changes: list[FleetModel] = field(default_factory=list)

    def states(self, name: str) -> list[str]:
        return [each.state for each in self.changes if each.id == name]

    def model(self, name: str) -> FleetModel:
        return next(each for each in self.fleet.models() if each.id == name)


def stored(path: Path, name: str) -> StoredModel:
    return StoredModel(name, path, path.stat().st_size)


@asynccontextmanager
async def running(
    models: Sequence[StoredModel], *, settings: WorkerSettings = SMALL, settle: bool = True, **options: Any
) -> AsyncIterator[Seen]:
    fleet = Fleet(models, store=options.pop("store", None), settings=settings, **options)
    seen = Seen(fleet)
    fleet.on_change = seen.changes.append
    await fleet.start()
    try:
        if settle:
            await fleet.settled()
        yield seen
    finally:
        await fleet.close(2)


def played(scene: Callable[[], Awaitable[None]], seconds: float = 120) -> None:
    """Runs a test's scene; nothing may hang."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await scene()

    asyncio.run(bounded())


async def ask(lease: Lease, text: str = "Hi", **fields: Any) -> dict[str, Any]:
    """A chat answer of the leased worker."""
    reader, writer = await send(lease, text, **fields)
    try:
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    assert b" 200 " in head.splitlines()[0], body
    return json.loads(body)


async def send(lease: Lease, text: str = "Hi", **fields: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    body = {"messages": [{"role": "user", "content": text}], "max_tokens": 4, "temperature": 0} | fields
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_unix_connection(lease.socket)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(data)}\r\n"
    writer.write(f"{head}content-type: application/json\r\n\r\n".encode() + data)
    await writer.drain()
    return reader, writer


async def until(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := condition()):  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
    assert found, what
    return found


def linked(path: Path, *names: str) -> Store:
    store = Store()
    for name in names:
        store.link(path, name)
    return store
