# SPDX-License-Identifier: GPL-3.0-or-later
"""Very many HTTP requests at once, on one event loop, as plain as can be."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    """`status` 0: the connection broke before there was any."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool = True

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def post(
    address: tuple[str, int], key: str, path: str, body: Any, headers: dict[str, str] | None = None
) -> Answer:
    """One request over a connection of its own."""
    content = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "host: localhost", f"authorization: Bearer {key}", "connection: close"]
    lines += ["content-type: application/json", f"content-length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    try:
        reader, writer = await asyncio.open_connection(*address)
    except OSError:
        return Answer(0, {}, b"", whole=False)
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + content)
        return parsed(await reader.read())
    except OSError:
        return Answer(0, {}, b"", whole=False)
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def parsed(raw: bytes) -> Answer:
    head, _, rest = raw.partition(b"\r\n\r\n")
    if not rest:
        return Answer(0, {}, b"", whole=False)
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    number = int(status.split()[1])
    if headers.get("transfer-encoding") != "chunked":
        return Answer(number, headers, rest, whole=len(rest) == int(headers.get("content-length", len(rest))))
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16) if size else 0
        if not count:
            return Answer(number, headers, body, whole=bool(size))
        body, rest = body + rest[:count], rest[count + 2 :]
    return Answer(number, headers, body, whole=False)


def at_once(address: tuple[str, int], key: str, path: str, bodies: Sequence[Any]) -> list[Answer]:
    """All of them, started together."""

    async def run() -> list[Answer]:
        return await asyncio.gather(*(post(address, key, path, body) for body in bodies))

    return asyncio.run(run())
