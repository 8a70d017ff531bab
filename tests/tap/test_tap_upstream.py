# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's own HTTP client against a socket that says exactly what a test wants."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.tap.taking import Taker
from llama_orch.tap.upstream import Pool, UpstreamBroken, UpstreamConnection
from llama_orch.wire import receipt
from llama_orch.wire.receipt import Receipt

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEAD = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@asynccontextmanager
async def worker(speak: Speak) -> AsyncIterator[str]:
    """A Unix socket where each connection is handled by `speak`."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = str(Path(folder) / "w.sock")

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await speak(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_unix_server(
            lambda reader, writer: tasks.add(asyncio.create_task(handle(reader, writer))), path
        )
        yield path
        server.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 10)
        for _ in range(5):
            await asyncio.sleep(0)  # transports that were aborted close in the loop's next round


async def heard(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def everything(connection: UpstreamConnection) -> bytes:
    parts: list[bytes] = []
    while part := await connection.read():
        parts.append(part)
    return b"".join(parts)


async def asked(connection: UpstreamConnection) -> bytes:
    await connection.ask(HEAD, b"{}")
    return await everything(connection)


def test_a_connection_is_used_again() -> None:
    connected: list[int] = []

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append(1)
        while True:
            await heard(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nX-A: b\r\ncontent-length: 5\r\n\r\nhello")

    async def run() -> None:
        pool = Pool()
        async with worker(speak) as path:
            for _ in range(5):
                connection = await pool.acquire(path)
                await connection.ask(HEAD, b"{}")
                assert (connection.status, connection.headers[0]) == (200, (b"x-a", b"b"))
                assert await everything(connection) == b"hello"
                pool.release(path, connection)
            pool.close()

    asyncio.run(run())
    assert len(connected) == 1


def test_a_chunk_is_there_when_it_was_sent() -> None:
    """Each piece is read before the next one is written: nothing is gathered on the way."""

    async def run() -> None:
        taken = asyncio.Event()

        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await heard(reader)
            writer.write(EVENTS)
            for number in range(100):
                writer.write(chunk(b"data: %d\n\n" % number))
                await asyncio.wait_for(taken.wait(), 10)
                taken.clear()
            writer.write(b"0\r\n\r\n")

        async with worker(speak) as path:
            pool = Pool()
            connection = await pool.acquire(path)
            await connection.ask(HEAD, b"{}")
            for number in range(100):
                assert await connection.read() == b"data: %d\n\n" % number
                taken.set()
            assert await connection.read() == b""
            assert connection.ended
            pool.release(path, connection)
            pool.close()

    asyncio.run(run())


def test_a_slow_reader_holds_the_worker_up() -> None:
    """What is not read stays bounded here: the worker's own writing stops."""
    sent = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await heard(reader)
        writer.write(EVENTS)
        writer.transport.set_write_buffer_limits(high=65536)
        for _ in range(640):
            writer.write(chunk(b"x" * 65536))
            await writer.drain()
            sent += 65536
        writer.write(b"0\r\n\r\n")

    async def run() -> None:
        async with worker(speak) as path:
            pool = Pool()
            connection = await pool.acquire(path)
            await connection.ask(HEAD, b"{}")
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.05)
            assert sent < 4 * 1024 * 1024
            assert len(await everything(connection)) == 640 * 65536
            pool.release(path, connection)
            pool.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "begun"),
    [
        (b"", False),
        (b"HTTP/1.1 200 OK\r\ncontent-le", False),
        (b"nonsense\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nhello", True),
        (EVENTS + chunk(b"data: 1\n\n"), True),
        (EVENTS + chunk(b"data: 1\n\n") + b"zz\r\n", True),
    ],
)
def test_a_worker_that_breaks_off(said: bytes, begun: bool) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await heard(reader)
        writer.write(said)
        await writer.drain()

    async def run() -> None:
        async with worker(speak) as path:
            pool = Pool()
            connection = await pool.acquire(path)
            with pytest.raises(UpstreamBroken) as broken:
                await asked(connection)
            assert broken.value.begun == begun
            pool.release(path, connection)
            assert not pool._idle[path]
            pool.close()

    asyncio.run(run())


def test_an_answer_that_nobody_reads_ends_its_connection() -> None:
    closed: list[bool] = []

    async def run() -> None:
        gone = asyncio.Event()

        async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await heard(reader)
            writer.write(EVENTS + chunk(b"data: 1\n\n"))
            closed.append(await reader.read() == b"")
            gone.set()

        async with worker(speak) as path:
            pool = Pool()
            connection = await pool.acquire(path)
            await connection.ask(HEAD, b"{}")
            assert await connection.read()
            pool.release(path, connection)
            await asyncio.wait_for(gone.wait(), 10)

    asyncio.run(run())
    assert closed == [True]


TOLD = Receipt(prompt_tokens=3, output_tokens=5, outcome="stop")
PIECES = st.lists(
    st.sampled_from(
        [
            b"data: {}\n\n",
            b"\n",
            b": keep-alive\n\n",
            b": x-orch",
            b": x-orch-receipt",
            b": x-orch-receipt {",
            b"data: ",
            b'data: "\\n: x-orch-receipt {}"\n\n',
            b"text",
            b":",
        ]
    ),
    max_size=12,
)


@given(pieces=PIECES, ends=st.booleans(), seed=st.integers(0, 2**32))
def test_the_receipt_is_taken_and_all_else_handed_on(pieces: list[bytes], ends: bool, seed: int) -> None:
    """However the bytes are cut."""
    body = b"".join(pieces)
    if body and not body.endswith(b"\n"):
        body += b"\n"
    data = body + (receipt.line(TOLD) if ends else b"")
    chance, taker, got = random.Random(seed), Taker(), b""
    at = 0
    while at < len(data):
        size = chance.choice((1, 2, 7, 50, 1000))
        got += taker.push(data[at : at + size])
        at += size
    got += taker.flush()
    assert got == body
    assert taker.receipt == (TOLD if ends else None)


def test_whole_events_pass_at_once() -> None:
    taker = Taker()
    assert taker.push(b"data: 1\n\n") == b"data: 1\n\n"
    assert taker.push(b"data: 2") == b"data: 2"
    assert taker.push(b"\n\n") == b"\n\n"
    assert taker.push(b": keep-alive\n\n") == b": keep-alive\n\n"
    assert taker.push(b": x-o") == b""
    assert taker.push(b"ther\n\n") == b": x-other\n\n"
