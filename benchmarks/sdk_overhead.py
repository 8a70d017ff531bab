# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client costs: CPU per whole answer and per streamed chunk, ours beside `openai` and bare httpx.

    python benchmarks/sdk_overhead.py [--rounds 5] [--json FILE]

A mock server in a process of its own answers at once; every contestant gets a turn in every round (interleaved), and
its CPU is time.process_time() of this process over the turn. The median over the rounds counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

CHUNKS = 256
MODEL = "mock-model"
LIMITS = {"request": 500.0, "chunk": 14.0}  # microseconds: the targets of `Client`
Turn = Callable[[], float]


def serve() -> None:
    """The mock server: one thread per connection, replies prepared, one write per chunk."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    print(listener.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()


def answer(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    whole, stream = replies()
    pending = b""
    while True:
        while b"\r\n\r\n" not in pending:
            data = connection.recv(65536)
            if not data:
                return
            pending += data
        head, _, rest = pending.partition(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        ]
        length = lengths[0] if lengths else 0
        while len(rest) < length:
            rest += connection.recv(65536)
        body, pending = rest[:length], rest[length:]
        if json.loads(body).get("stream"):
            for part in stream:
                connection.sendall(part)
        else:
            connection.sendall(whole)


def replies() -> tuple[bytes, list[bytes]]:
    def frame(data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data)

    def event(delta: dict[str, str], finish: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {
            "id": "chatcmpl-0123456789abcdef",
            "object": "chat.completion.chunk",
            "created": 1760000000,
            "model": MODEL,
        }
        return frame(b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n")

    usage = {"prompt_tokens": 9, "completion_tokens": CHUNKS, "total_tokens": 9 + CHUNKS}
    message = {"role": "assistant", "content": "Blue light is scattered more than red light."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(
        {"id": "x", "object": "chat.completion", "created": 1, "model": MODEL, "choices": [choice], "usage": usage}
    ).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    parts = [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"]
    parts += [event({"content": f" word{number}"}, None) for number in range(CHUNKS)]
    parts += [event({}, "stop"), frame(b"data: [DONE]\n\n") + b"0\r\n\r\n"]
    return head + body, parts


def cpu(work: Callable[[], object], times: int) -> float:
    """Microseconds of CPU per call."""
    started = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - started) / times * 1e6


def blocking(address: str, calls: int, streams: int) -> dict[str, dict[str, Turn]]:
    """The contestants that block."""
    import httpx
    import openai

    from llama_orch_utils import Client

    ours = Client(f"{address}/v1", key="k", model=MODEL)
    theirs = openai.OpenAI(base_url=f"{address}/v1", api_key="k")
    bare = httpx.Client()
    messages: Any = [{"role": "user", "content": "Why is the sky blue?"}]
    body = {"model": MODEL, "messages": messages}
    url = f"{address}/v1/chat/completions"

    def ours_stream() -> None:
        assert sum(1 for _ in ours.stream(messages)) == CHUNKS

    def theirs_stream() -> None:
        assert sum(1 for _ in theirs.chat.completions.create(model=MODEL, messages=messages, stream=True)) == CHUNKS + 1

    def bare_stream() -> None:
        with bare.stream("POST", url, json={**body, "stream": True}) as reply:
            assert sum(1 for _ in reply.iter_raw()) > 0

    def bare_parsed() -> None:
        with bare.stream("POST", url, json={**body, "stream": True}) as reply:
            found = [json.loads(line[6:]) for line in reply.iter_lines() if line.startswith("data: {")]
            assert len(found) == CHUNKS + 1

    def pair(whole: Callable[[], object], stream: Callable[[], None]) -> dict[str, Turn]:
        return {"request": lambda: cpu(whole, calls), "chunk": lambda: cpu(stream, streams) / (CHUNKS + 1)}

    return {
        "llama-orch Client": pair(lambda: ours.chat(messages), ours_stream),
        "openai": pair(lambda: theirs.chat.completions.create(model=MODEL, messages=messages), theirs_stream),
        "httpx.Client, bytes only": pair(lambda: bare.post(url, json=body).read(), bare_stream),
        "httpx.Client, iter_lines + json": pair(lambda: bare.post(url, json=body).json(), bare_parsed),
    }


class Loop:
    """Async contestants, on one loop that stays."""

    def __init__(self, calls: int, streams: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.calls, self.streams = calls, streams
        self.closers: list[Callable[[], Awaitable[None]]] = []

    def close(self) -> None:
        for closer in self.closers:
            self.loop.run_until_complete(closer())
        self.loop.close()

    def turns(self, whole: Callable[[], Awaitable[object]], stream: Callable[[], Awaitable[object]]) -> dict[str, Turn]:
        async def at(tasks: int) -> float:
            async def worker() -> None:
                for _ in range(max(self.calls // tasks, 4)):
                    await whole()

            started = time.process_time()
            await asyncio.gather(*[worker() for _ in range(tasks)])
            return (time.process_time() - started) / (tasks * max(self.calls // tasks, 4)) * 1e6

        async def streamed() -> float:
            started = time.process_time()
            for _ in range(self.streams):
                await stream()
            return (time.process_time() - started) / self.streams / (CHUNKS + 1) * 1e6

        return {
            "request": lambda: self.loop.run_until_complete(at(1)),
            "request at 64": lambda: self.loop.run_until_complete(at(64)),
            "chunk": lambda: self.loop.run_until_complete(streamed()),
        }


def asynchronous(address: str, loop: Loop) -> dict[str, dict[str, Turn]]:
    """The contestants that are awaited."""
    import httpx
    import openai

    from llama_orch_utils import AsyncClient
    from llama_orch_utils.transport.aiohttp_ import AiohttpTransport

    messages: Any = [{"role": "user", "content": "Why is the sky blue?"}]
    url = f"{address}/v1/chat/completions"

    def ours(transport: Any) -> dict[str, Turn]:
        client = AsyncClient(f"{address}/v1", key="k", model=MODEL, transport=transport)
        loop.closers.append(client.close)

        async def stream() -> None:
            async for _ in client.stream(messages):
                pass

        return loop.turns(lambda: client.chat(messages), stream)

    def bare(make: Callable[[], httpx.AsyncClient]) -> dict[str, Turn]:
        client = make()
        loop.closers.append(client.aclose)

        async def whole() -> None:
            (await client.post(url, json={"model": MODEL, "messages": messages})).json()

        async def stream() -> None:
            async with client.stream("POST", url, json={"model": MODEL, "messages": messages, "stream": True}) as reply:
                async for line in reply.aiter_lines():
                    if line.startswith("data: {"):
                        json.loads(line[6:])

        return loop.turns(whole, stream)

    theirs = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="k")
    loop.closers.append(theirs.close)

    async def theirs_stream() -> None:
        async for _ in await theirs.chat.completions.create(model=MODEL, messages=messages, stream=True):
            pass

    found = {
        "llama-orch AsyncClient": ours(None),
        "llama-orch AsyncClient, aiohttp": ours(AiohttpTransport()),
        "openai async": loop.turns(
            lambda: theirs.chat.completions.create(model=MODEL, messages=messages), theirs_stream
        ),
        "httpx.AsyncClient": bare(lambda: httpx.AsyncClient(limits=httpx.Limits(max_connections=None))),
    }
    try:
        from httpx_aiohttp import HttpxAiohttpClient  # pyright: ignore[reportMissingImports] - not a dependency
    except ImportError:
        return found
    return {**found, "httpx-aiohttp": bare(HttpxAiohttpClient)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--streams", type=int, default=6)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        loop = Loop(given.calls, given.streams)
        contestants = {**blocking(address, given.calls, given.streams), **asynchronous(address, loop)}
        found = measured(contestants, given.rounds)
        loop.close()
        report(found, given.json)
    finally:
        server.kill()
        server.wait()


def measured(contestants: dict[str, dict[str, Turn]], rounds: int) -> dict[str, dict[str, float]]:
    samples: dict[tuple[str, str], list[float]] = {}
    for number in range(rounds + 1):
        for name, turns in contestants.items():
            for what, turn in turns.items():
                value = turn()
                if number:  # the first round warms up
                    samples.setdefault((name, what), []).append(value)
    found: dict[str, dict[str, float]] = {}
    for (name, what), values in samples.items():
        found.setdefault(name, {})[what] = round(statistics.median(values), 2)
    return found


def report(found: dict[str, dict[str, float]], file: Path | None) -> None:
    print("| client | µs CPU per request | at 64 connections | per chunk | openai ÷ this, request | chunk |")
    print("|---|---|---|---|---|---|")
    for name, row in found.items():
        base = found["openai async" if "request at 64" in row else "openai"]
        ratios = [f"{base[what] / row[what]:.1f}" for what in ("request", "chunk")]
        at64 = f"{row['request at 64']:.0f}" if "request at 64" in row else ""
        print(f"| {name} | {row['request']:.0f} | {at64} | {row['chunk']:.1f} | {ratios[0]} | {ratios[1]} |")
    ours = found["llama-orch Client"]
    over = ours["chunk"] - found["httpx.Client, bytes only"]["chunk"]
    print(f"\nOver bare httpx, bytes only: {over:+.1f} µs per chunk.")
    met = {what: ours[what] <= limit for what, limit in LIMITS.items()}
    print(
        "Targets (500 µs per request, 14 µs per chunk): "
        + ", ".join(f"{what} {'met' if ok else 'missed'}" for what, ok in met.items())
    )
    if file is not None:
        file.write_text(json.dumps({"cpu": os.cpu_count(), "microseconds": found, "met": met}, indent=1) + "\n")


if __name__ == "__main__":
    main()
