#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gateway costs: CPU of its process per whole answer and per streamed chunk, in front of a mock worker.

    serve_overhead.py [--requests 20000] [--streams 64] [--rounds 3]

Three processes: a load generator, the gateway (real but for its fleet, which hands out one socket), and a worker that
answers at once, or with a chunk every 5 ms, over a Unix socket. The CPU time of the gateway's process is what holds on
a busy machine; time on the clock is shown beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

KEY = "benchmark-key-0123456789"
CHUNKS = 100
EVERY = 0.005
ASK = {"model": "bench", "messages": [{"role": "user", "content": "Say hello to the benchmark, please."}]}
WHOLE = json.dumps({"id": "chatcmpl-1", "object": "chat.completion", "model": "bench", "choices": ["x" * 300]}).encode()
RECEIPT = b'{"prompt_tokens":11,"cached_tokens":0,"output_tokens":100,"queue_seconds":0.0,"first_token_seconds":0.01,'
RECEIPT += b'"token_seconds":0.005,"total_seconds":0.5,"outcome":"stop"}'
PIECE = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench","choices":[{"index":0,'
PIECE += b'"delta":{"content":" token"},"logprobs":null,"finish_reason":null}]}\n\n'


def frame(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class MockWorker(asyncio.Protocol):
    """Just enough HTTP: one request after another, whole ones in one write, streams by the clock."""

    def __init__(self) -> None:
        self.data = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        self.data = b""
        if b'"stream": true' in body:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            self.transport.write(head)
            self.stream(0)
            return
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-orch-receipt: %b\r\ncontent-length: %d\r\n\r\n"
        self.transport.write(head % (RECEIPT, len(WHOLE)) + WHOLE)

    def stream(self, number: int) -> None:
        if number == CHUNKS:
            self.transport.write(frame(b"data: [DONE]\n\n: x-orch-receipt " + RECEIPT + b"\n\n") + b"0\r\n\r\n")
            return
        self.transport.write(frame(PIECE))
        asyncio.get_running_loop().call_later(EVERY, self.stream, number + 1)


def work(path: str) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_unix_server(MockWorker, path)
        await server.serve_forever()

    uvloop.run(run())


class OneSocket:
    """A fleet of one worker that is always ready."""

    def __init__(self, path: str) -> None:
        self.model, self.socket, self.slots = "bench", path, 256

    async def lease(self, name: str | None, *, wait: float) -> OneSocket:  # noqa: ARG002
        return self

    def release(self) -> None:
        """Nothing is counted here."""


def gateway(path: str, listener: socket.socket) -> None:
    from llama_orch.tap.app import App
    from llama_orch.tap.cors import Cors
    from llama_orch.tap.gate import Gate
    from llama_orch.tap.server import Config, Server
    from llama_orch.tap.settings import ServeOptions
    from llama_orch.tap.tap import Tap

    async def run() -> None:
        options = ServeOptions()
        tap = Tap(options, OneSocket(path))  # type: ignore[arg-type]
        tap.phase = "ready"
        cors = Cors(())
        server = Server(Config(App(tap, Gate(options, KEY, cors, loopback=True), cors), options, None))
        await server.serve(sockets=[listener])

    uvloop.run(run())


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Client(asyncio.Protocol):
    """Sends the same request again and again over one connection."""

    def __init__(self, request: bytes, count: int, done: asyncio.Future[int]) -> None:
        self.request, self.left, self.done = request, count, done
        self.tail, self.bytes, self.transport = b"", 0, None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.bytes += len(data)
        self.tail = (self.tail + data)[-2048:]
        if not (self.tail.endswith(b"0\r\n\r\n") or (b"content-length" in self.tail and self.tail.endswith(b"}"))):
            return
        assert b"401 " not in self.tail, self.tail
        self.tail = b""
        self.left -= 1
        if self.left:
            self.transport.write(self.request)
        else:
            self.transport.close()
            self.done.set_result(self.bytes)


async def load(address: tuple[str, int], connections: int, each: int, *, stream: bool) -> float:
    """Seconds until every connection has had `each` answers."""
    body = json.dumps(ASK | {"stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
    head += f"Content-Type: application/json\r\nAccept: */*\r\nUser-Agent: bench\r\nContent-Length: {len(body)}\r\n\r\n"
    loop = asyncio.get_running_loop()
    began, waiting = time.monotonic(), []
    for _ in range(connections):
        done = loop.create_future()
        waiting.append(done)
        await loop.create_connection(lambda done=done: Client(head.encode() + body, each, done), *address)
    await asyncio.gather(*waiting)
    return time.monotonic() - began


def measure(pid: int, address: tuple[str, int], connections: int, each: int, *, stream: bool) -> tuple[float, float]:
    """CPU of the gateway in microseconds per answer (or per chunk), and answers (chunks) per second."""
    before = cpu_of(pid)
    seconds = uvloop.run(load(address, connections, each, stream=stream))
    things = connections * each * (CHUNKS if stream else 1)
    return (cpu_of(pid) - before) / things * 1e6, things / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        path, address = str(Path(folder) / "w.sock"), listener.getsockname()[:2]
        processes = [context.Process(target=work, args=(path,)), context.Process(target=gateway, args=(path, listener))]
        for process in processes:
            process.start()
        pid = processes[1].pid
        assert pid is not None
        try:
            time.sleep(1.0)
            measure(pid, address, 16, 100, stream=False)
            for name, connections, stream in (
                ("whole", 1, False),
                ("whole", 16, False),
                ("whole", 64, False),
                ("chunk", told.streams, True),
            ):
                each = 4 if stream else told.requests // connections // (10 if connections == 1 else 1)
                found = [measure(pid, address, connections, each, stream=stream) for _ in range(told.rounds)]
                cpu, rate = (statistics.median(values) for values in zip(*found, strict=True))
                print(f"{name:6} {connections:3} connections: {cpu:6.1f} us CPU each, {rate:8.0f} a second", flush=True)
        finally:
            for process in processes:
                process.terminate()
                process.join()


if __name__ == "__main__":
    main()
