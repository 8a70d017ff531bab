# SPDX-License-Identifier: GPL-3.0-or-later
"""429 and 503: what a caller can do with `retry_after`, and what the client waits for itself."""

from __future__ import annotations

import asyncio
import email.utils
import time
from collections.abc import Callable

import pytest
from sdk_canary import CANARY

from llama_orch_utils import AsyncClient, Client, EngineFailed, RateLimited, TargetError, ToolError
from llama_orch_utils.testing import FakeTap

NOW = {"retry-after": "0"}


def test_429_is_told_at_once_with_its_time(tap: FakeTap, make_client: Callable[..., Client]):
    client = make_client(retries=5)
    tap.error(429, "the queue is full", code="rate_limited", headers={"retry-after": "2"})
    with pytest.raises(RateLimited, match="the queue is full") as caught:
        client.chat("hi")
    assert (caught.value.retry_after, caught.value.hint, len(tap.asked)) == (2.0, "try again in 2 s", 1)
    tap.error(429, "slowly", code="rate_limited", headers=NOW)
    with pytest.raises(RateLimited):
        list(client.stream("hi"))
    assert len(tap.asked) == 2, "the connection is free again, and nothing was sent twice"


def test_the_loop_of_a_patient_caller(tap: FakeTap, client: Client):
    for _ in range(3):
        tap.error(429, "slowly", code="rate_limited", headers={"retry-after": "0.05"})
    tap.answer("at last")
    begun, text = time.monotonic(), ""
    while not text:
        try:
            text = client.chat("hi").text
        except RateLimited as error:
            time.sleep(error.retry_after or 60)
    assert (text, len(tap.asked)) == ("at last", 4)
    assert time.monotonic() - begun >= 0.15


def test_a_date_in_the_future_and_in_the_past(tap: FakeTap, client: Client):
    for offset, least, most in ((5, 3.0, 5.5), (-3600, 0.0, 0.0)):
        date = email.utils.formatdate(time.time() + offset, usegmt=True)
        tap.error(429, "slowly", code="rate_limited", headers={"retry-after": date})
        with pytest.raises(RateLimited) as caught:
            client.chat("hi")
        assert least <= (caught.value.retry_after or 0.0) <= most


def test_a_model_that_loads_is_waited_for(tap: FakeTap, client: Client):
    tap.error(503, "the model is loading", code="loading", headers=NOW)
    tap.error(503, "the model is loading", code="loading", headers=NOW)
    tap.answer("here")
    assert client.chat("hi").text == "here"
    for _ in range(3):
        tap.error(503, "the model is loading", code="loading", headers=NOW)
    with pytest.raises(EngineFailed) as caught:
        client.chat("hi")
    assert (caught.value.code, caught.value.retry_after, caught.value.status) == ("loading", 0.0, 503)


def test_an_engine_that_failed_is_not_tried_again(tap: FakeTap, client: Client):
    tap.error(503, "it crashed", code="engine_failed", headers=NOW)
    with pytest.raises(EngineFailed):
        client.chat("hi")
    assert len(tap.asked) == 1


def test_a_wait_that_outlasts_the_call_is_told_instead(tap: FakeTap, client: Client):
    tap.error(503, "busy", headers={"retry-after": "15"})
    begun = time.monotonic()
    with pytest.raises(TargetError, match="busy"):
        client.chat("hi", timeout=1)
    assert time.monotonic() - begun < 1
    assert len(tap.asked) == 1


def test_429_between_the_steps_of_a_loop_runs_no_tool_twice(tap: FakeTap, client: Client):
    ran: list[int] = []

    def note() -> str:
        ran.append(1)
        return "noted"

    tap.call("note").error(503, "busy", headers=NOW).answer("done")
    assert client.chat("hi", tools=[note]).text == "done"
    assert ran == [1]
    tap.call("note").error(429, "slowly", code="rate_limited", headers=NOW)
    with pytest.raises(RateLimited):
        client.chat("hi", tools=[note])
    assert ran == [1, 1]
    assert not issubclass(RateLimited, ToolError)


def test_the_async_client_waits_without_holding_the_loop(tap: FakeTap):
    async def main() -> None:
        async with AsyncClient(tap.url, key=CANARY, model="m") as client:
            tap.error(503, "busy", headers={"retry-after": "0.3"}).answer("slow")
            waiting = asyncio.ensure_future(client.chat("hi"))
            await asyncio.to_thread(tap.wait_asked, 1)
            ticks = 0
            while not waiting.done():
                await asyncio.sleep(0.01)
                ticks += 1
            assert (await waiting).text == "slow"
            assert ticks > 5

    asyncio.run(main())
