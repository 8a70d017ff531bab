# SPDX-License-Identifier: GPL-3.0-or-later
"""N streams at once against an OpenAI-compatible server, over raw sockets so that the load costs next to nothing."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """One round: seconds of wall time, tokens out and in (as the servers' usage says), seconds to first tokens."""

    seconds: float
    output_tokens: int
    prompt_tokens: int
    cached_tokens: int
    first_token: list[float]

    @property
    def rate(self) -> float:
        """Tokens out per second of wall time, prefill included."""
        return self.output_tokens / self.seconds


def run_round(port: int, bodies: list[bytes]) -> Outcome:
    """Sends all `bodies` to /v1/chat/completions at once and reads every stream to its end."""
    return asyncio.run(_round(port, bodies))


async def _round(port: int, bodies: list[bytes]) -> Outcome:
    began = time.perf_counter()
    streams = await asyncio.gather(*(_stream(port, body) for body in bodies))
    return Outcome(
        seconds=time.perf_counter() - began,
        output_tokens=sum(usage["completion_tokens"] for usage, _ in streams),
        prompt_tokens=sum(usage["prompt_tokens"] for usage, _ in streams),
        cached_tokens=sum((usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0) for usage, _ in streams),
        first_token=sorted(first for _, first in streams),
    )


async def _stream(port: int, body: bytes) -> tuple[dict, float]:
    began, first, usage, pieces = time.perf_counter(), 0.0, None, 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise SystemExit(f"the server refused: {head.decode()}{(await reader.read(2000)).decode()}")
    async for line in reader:
        if not first and line.startswith(b"data:") and b'"content":' in line and b'"content":""' not in line:
            first = time.perf_counter() - began
        pieces += b'"content":' in line
        if line.startswith(b"data:") and b'"usage":{' in line.replace(b" ", b""):
            usage = json.loads(line[5:])["usage"]
        if line.startswith(b"data:") and b"[DONE]" in line:
            break
    writer.close()
    if usage is None:  # llama_cpp.server counts nothing in streams: a chunk is a token there
        usage = {"completion_tokens": pieces, "prompt_tokens": 0}
    return usage, first
