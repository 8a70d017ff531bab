# SPDX-License-Identifier: GPL-3.0-or-later
"""`AsyncClient`: the same as `Client`, awaited, over both transports; and the parity of the two."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sdk_canary import CANARY

from llama_orch_utils import (
    AnswerError,
    AsyncClient,
    AsyncStream,
    Client,
    InsufficientCredits,
    NotAuthorised,
    Stream,
    StreamBroken,
    TargetTimeout,
    TargetUnreachable,
    Timeouts,
    Usage,
)
from llama_orch_utils.targets.local import LocalWorker
from llama_orch_utils.testing import FakeTap
from llama_orch_utils.transport.aiohttp_ import AiohttpTransport
from llama_orch_utils.transport.asyncio_ import AsyncHttpTransport

Run = Callable[[Callable[[AsyncClient], Awaitable[None]]], None]


@pytest.fixture(params=[AsyncHttpTransport, AiohttpTransport])
def run(tap: FakeTap, request: pytest.FixtureRequest) -> Run:
    """Runs an async test body with a client over each transport."""

    def run(body: Callable[[AsyncClient], Awaitable[None]]) -> None:
        async def main() -> None:
            async with AsyncClient(tap.url, key=CANARY, model="fake-model", transport=request.param()) as client:
                await asyncio.wait_for(body(client), 60)

        asyncio.run(main())

    return run


def public(kind: type) -> dict[str, object]:
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize(("one", "other"), [(Client, AsyncClient), (Stream, AsyncStream)])
def test_both_clients_have_the_same_methods_with_the_same_arguments(one: type, other: type):
    assert public(one).keys() == public(other).keys()
    for name, member in public(one).items():
        twin = public(other)[name]
        assert isinstance(member, property) == isinstance(twin, property)
        if callable(member) and callable(twin):
            assert inspect.signature(member).parameters == inspect.signature(twin).parameters, name
    ours, theirs = (dict(inspect.signature(kind).parameters) for kind in (one, other))
    assert list(ours) == list(theirs)
    for name in ours.keys() - {"transport", "run"}:
        assert ours[name] == theirs[name]
    for kind, magic in ((Client, ("enter", "exit")), (Stream, ("enter", "exit", "iter"))):
        if one is kind:
            assert all(hasattr(one, f"__{word}__") and hasattr(other, f"__a{word}__") for word in magic)


def test_answers_and_streams(tap: FakeTap, run: Run):
    async def body(client: AsyncClient) -> None:
        tap.answer(["one ", "two 😀"], reasoning=("hm",)).answer(["one ", "two 😀"], pause=0.01)
        answer = await client.chat("hi", temperature=0)
        assert (answer.text, answer.reasoning, answer.usage) == ("one two 😀", "hm", Usage(1, 3))
        async with client.stream("hi") as stream:
            texts = [piece.text async for piece in stream]
        assert texts == ["one ", "two 😀"]
        assert stream.answer.text == "one two 😀"
        assert [model.id for model in await client.models()] == ["fake-model"]
        assert await client.count_tokens("one two") == 2
        assert {asked.key for asked in tap.asked} == {CANARY}
        assert tap.asked[0].json["temperature"] == 0

    run(body)


def test_many_tasks_share_one_client(tap: FakeTap, run: Run):
    async def body(client: AsyncClient) -> None:
        async def streamed() -> str:
            return "".join([piece.text async for piece in client.stream("hi")])

        whole = [client.chat("hi") for _ in range(50)]
        answers = await asyncio.gather(*whole, *[streamed() for _ in range(50)])
        assert {getattr(answer, "text", answer) for answer in answers} == {"Hello from the fake tap."}
        assert len(tap.asked) == 100

    run(body)


def test_leaving_breaking_and_closing_free_the_target(tap: FakeTap, run: Run):
    async def body(client: AsyncClient) -> None:
        for _ in range(3):
            tap.answer(["a"] * 1000, pause=0.05)
        async with client.stream("hi") as stream:
            await anext(aiter(stream))
        await asyncio.to_thread(tap.wait_left, 1)
        async for _ in client.stream("hi"):
            break
        await asyncio.to_thread(tap.wait_left, 2)
        stream = client.stream("hi")
        await anext(aiter(stream))
        await stream.close()
        assert [piece async for piece in stream] == []
        await asyncio.to_thread(tap.wait_left, 3)

    run(body)


@pytest.mark.parametrize("delay", [0.0, 60.0])
def test_a_cancelled_task_frees_the_target(tap: FakeTap, run: Run, delay: float):
    async def body(client: AsyncClient) -> None:
        tap.answer(["a"] * 1000, delay=delay, pause=60).answer("late", delay=60)

        async def read() -> None:
            async with client.stream("hi") as stream:
                async for _ in stream:
                    pass

        for number, work in enumerate([read, lambda: client.chat("hi")], start=1):
            task = asyncio.create_task(work())  # type: ignore[arg-type]
            await asyncio.to_thread(tap.wait_asked, number)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(tap.wait_left, number)
        assert (await client.chat("still")).text.startswith("Hello")

    run(body)


def test_closing_from_another_task_ends_the_iteration(tap: FakeTap, run: Run):
    async def body(client: AsyncClient) -> None:
        tap.answer(["a", *["b"] * 1000], pause=0.05)
        stream = client.stream("hi")
        pieces = 0
        first = asyncio.Event()

        async def read() -> None:
            nonlocal pieces
            async for _ in stream:
                pieces += 1
                first.set()

        task = asyncio.create_task(read())
        await asyncio.to_thread(tap.wait_asked)
        await first.wait()
        await stream.close()
        await asyncio.wait_for(task, 5)
        assert 1 <= pieces < 1000
        await asyncio.to_thread(tap.wait_left)

    run(body)


def test_errors_and_breaks(tap: FakeTap, run: Run):
    async def body(client: AsyncClient) -> None:
        tap.error(402, "broke", code="insufficient_credits", affordable_max_tokens=3)
        with pytest.raises(InsufficientCredits) as poor:
            await client.chat("hi")
        assert poor.value.affordable_max_tokens == 3
        tap.error(401, f"no {CANARY}")
        with pytest.raises(NotAuthorised) as wrong:
            await client.chat("hi")
        assert CANARY not in str(wrong.value) + repr(vars(wrong.value))
        tap.cut("one ", "two ")
        with pytest.raises(StreamBroken) as broken:
            async for _ in client.stream("hi"):
                pass
        assert broken.value.partial == "one two "
        tap.error(503, "busy", headers={"retry-after": "0"}).answer("there")
        assert (await client.chat("hi")).text == "there"

    run(body)


@pytest.mark.parametrize(
    ("limits", "fields", "phase"),
    [
        (Timeouts(first_token=0.2), {"pause": 60}, "first_token"),
        (Timeouts(first_token=0.2), {"pause": 60, "comments": 0.05}, "first_token"),
        (Timeouts(first_token=0.2), {"delay": 60}, "first_token"),
        (Timeouts(between_tokens=0.2, first_token=5), {"pause": 1.5}, "between_tokens"),
        (Timeouts(total=0.3), {"pause": 0.05}, "total"),
    ],
)
def test_each_time_out_is_named(tap: FakeTap, run: Run, limits: Timeouts, fields, phase: str):
    async def body(client: AsyncClient) -> None:
        tap.answer(["a"] * 1000, **fields)
        with pytest.raises(TargetTimeout) as caught:
            async for _ in client.stream("hi", timeout=limits):
                pass
        assert caught.value.phase == phase
        await asyncio.to_thread(tap.wait_left)

    run(body)


@pytest.mark.parametrize("transport", [AsyncHttpTransport, AiohttpTransport])
def test_nobody_there(transport: type):
    async def main() -> None:
        client = AsyncClient("http://127.0.0.1:9", model="m", retries=1, transport=transport())
        with pytest.raises(TargetUnreachable):
            await client.chat("hi")
        await client.close()

    asyncio.run(main())


@pytest.mark.parametrize("transport", [AsyncHttpTransport, AiohttpTransport])
def test_the_local_socket(orch_home: Path, transport: type):
    path = str(orch_home / "tap.sock")

    def launch(model, settings, listener=None):
        return LocalWorker("fake-model", "http://localhost", path, os.getpid())

    async def main() -> None:
        async with AsyncClient("local", launcher=launch, transport=transport()) as client:
            for _ in range(2):
                assert (await client.chat("hi")).text == "Hello from the fake tap."

    with FakeTap(socket=path):
        asyncio.run(main())


def test_a_client_in_another_loop_says_so(tap: FakeTap):
    other = AsyncClient(tap.url, model="m")

    async def first() -> None:
        async with other:
            await other.chat("hi")
            with pytest.raises(AnswerError, match="another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(other.chat("hi")))

    asyncio.run(first())
