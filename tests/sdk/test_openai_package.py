# SPDX-License-Identifier: GPL-3.0-or-later
"""The real `openai` package on our targets, by `openai_kwargs()`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import openai
import pytest
from sdk_canary import CANARY

from llama_orch_utils import AsyncClient, Client
from llama_orch_utils.targets.local import LocalWorker
from llama_orch_utils.testing import FakeTap

MESSAGES = [{"role": "user", "content": "hi"}]


def ask(client: Client) -> None:
    with openai.OpenAI(**client.openai_kwargs()) as theirs:  # type: ignore[arg-type]
        answer = theirs.chat.completions.create(model="fake-model", messages=MESSAGES)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == "Hello from the fake tap."
        chunks = theirs.chat.completions.create(model="fake-model", messages=MESSAGES, stream=True)  # type: ignore[arg-type]
        assert (
            "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
            == "Hello from the fake tap."
        )


async def ask_async(client: AsyncClient) -> None:
    async with openai.AsyncOpenAI(**await client.openai_kwargs()) as theirs:  # type: ignore[arg-type]
        answer = await theirs.chat.completions.create(model="fake-model", messages=MESSAGES)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == "Hello from the fake tap."


def test_a_tap(tap: FakeTap):
    with Client(tap.url, key=CANARY) as client:
        ask(client)
    asyncio.run(ask_async(AsyncClient(tap.url, key=CANARY)))
    assert {asked.key for asked in tap.asked} == {CANARY}


@pytest.fixture
def sockets(orch_home: Path) -> list[str]:
    return [str(orch_home / f"{number}.sock") for number in range(2)]


def test_the_local_socket_and_a_worker_that_was_replaced_meanwhile(sockets: list[str]):
    started: list[str] = []

    def launch(model, settings, listener=None):
        started.append(sockets[len(started)])
        return LocalWorker("fake-model", "http://localhost", started[-1], os.getpid())

    with Client("local", launcher=launch) as client, FakeTap(socket=sockets[0]) as first:
        with openai.OpenAI(**client.openai_kwargs()) as theirs:  # type: ignore[arg-type]
            theirs.chat.completions.create(model="fake-model", messages=MESSAGES)  # type: ignore[arg-type]
            assert len(first.asked) == 1
            first.close()
            with FakeTap(socket=sockets[1]) as second:
                theirs.chat.completions.create(model="fake-model", messages=MESSAGES)  # type: ignore[arg-type]
                assert len(second.asked) == 1
                ask(client)
        first._thread.join()
    with FakeTap(socket=sockets[0]):
        started.clear()
        asyncio.run(ask_async(AsyncClient("local", launcher=launch)))
