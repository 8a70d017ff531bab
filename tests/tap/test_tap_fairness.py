# SPDX-License-Identifier: GPL-3.0-or-later
"""The queue by itself, and as clients meet it."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from gateway_process import Gateway, until
from seeds import fresh_seed

from llama_orch.tap.call import Client
from llama_orch.tap.fairness import Queue
from llama_orch.tap.lanes import Lanes
from llama_orch_utils.errors import RateLimited

ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "max_tokens": 1900, "logit_bias": {"509": -100, "511": -100}}


def of(name: str) -> Client:
    return Client("key", "127.0.0.1", name)


async def _order(places: int, names: str) -> str:
    """In which order requests of these clients get in, one leaving at a time."""
    queue, got = Queue(places, 100), list[str]()

    async def ask(name: str) -> None:
        await queue.enter(of(name))
        got.append(name)

    tasks: list[asyncio.Task[None]] = []
    for name in names:
        tasks.append(asyncio.create_task(ask(name)))
        await asyncio.sleep(0)
    while not all(task.done() for task in tasks):
        queue.leave(0.1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert (queue.waiting, queue.running) == (0, places)
    return "".join(got)


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ("aaaa", "aaaa"),
        ("aaaab", "aabaa"),
        ("aaaabbbb", "aababab" + "b"),
        ("abc" * 2, "abcabc"),
        ("aaaaaaaabc", "aabcaaaaaa"),
    ],
)
def test_clients_take_turns(names: str, order: str) -> None:
    assert asyncio.run(_order(1, names)) == order


def test_a_client_never_fills_the_queue_alone() -> None:
    async def run() -> None:
        queue = Queue(1, 8)
        await queue.enter(of("a"))
        tasks = [asyncio.create_task(queue.enter(of("a"))) for _ in range(7)]
        await asyncio.sleep(0)
        assert sum(task.done() for task in tasks) == 1
        with pytest.raises(RateLimited) as refused:
            await tasks[-1]
        assert refused.value.retry_after is not None
        assert refused.value.retry_after >= 1
        others = [asyncio.create_task(queue.enter(of("b"))) for _ in range(3)]
        await asyncio.sleep(0)
        assert queue.waiting == 8
        with pytest.raises(RateLimited):
            await others[-1]
        for task in (*tasks, *others):
            task.cancel()
        await asyncio.gather(*tasks, *others, return_exceptions=True)
        assert (queue.waiting, queue.running) == (0, 1)

    asyncio.run(run())


def test_no_place_is_lost_whoever_gives_up_when() -> None:
    """Random comings, goings and cancellations: the counts are right at the end."""
    seed = fresh_seed()
    print(f"seed {seed}")
    chance = random.Random(seed)

    async def ask(queue: Queue, name: str, inside: Counter[str]) -> None:
        try:
            await queue.enter(of(name))
        except RateLimited:
            return
        inside["now"] += 1
        inside["most"] = max(inside["most"], inside["now"])
        try:
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)
        finally:
            inside["now"] -= 1
            queue.leave(0.01)

    async def run() -> None:
        queue, inside = Queue(3, 20), Counter[str]()
        tasks: list[asyncio.Task[None]] = []
        for _ in range(3000):
            tasks.append(asyncio.create_task(ask(queue, chance.choice("abcde"), inside)))
            if chance.random() < 0.5:
                await asyncio.sleep(0)
            if chance.random() < 0.4:
                chance.choice(tasks[-40:]).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert inside["most"] == 3
        assert (queue.running, queue.waiting, inside["now"]) == (0, 0, 0)

    asyncio.run(run())


def test_lanes_of_a_model() -> None:
    lanes = Lanes(8)
    assert lanes.of("m", "generate", 4).places == 5
    assert lanes.of("m", "generate", 2).places == 3
    assert lanes.of("m", "count", 4) is not lanes.of("m", "generate", 4)
    assert lanes.of("m", "tokenize", 4) is lanes.of("m", "count", 4)
    assert lanes.load() == {"m": (0, 0)}


def test_the_lobby_is_bounded() -> None:
    lanes = Lanes(4)
    for _ in range(3):
        lanes.enter_lobby(of("a"))
    with pytest.raises(RateLimited):
        lanes.enter_lobby(of("a"))
    lanes.enter_lobby(of("b"))
    with pytest.raises(RateLimited):
        lanes.enter_lobby(of("c"))
    for name in "aaab":
        lanes.leave_lobby(of(name))
    lanes.enter_lobby(of("a"))


def test_a_full_queue_answers_at_once(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(slots=1, max_queue=4, context=4096)
    running = [gateway.open_chat(stream=True, name="greedy", **ENDLESS | {"max_tokens": 3900}) for _ in range(2)]
    until(lambda: gateway.worker_health().get("active") == 1, "the first runs")
    waiting = [gateway.open_chat(stream=True, name="greedy", **ENDLESS) for _ in range(3)]
    began = time.monotonic()
    refused = until(lambda: _refused(gateway, "greedy"), "the queue is full")
    assert refused.status == 429
    assert refused.error["code"] == "rate_limited"
    assert int(refused.headers["retry-after"]) >= 1
    assert time.monotonic() - began < 10
    modest = gateway.open_chat(name="modest", max_tokens=2)  # there is room for another one
    for connection in (*running, *waiting):
        connection.close()
    assert modest.getresponse().status == 200
    modest.close()


def _refused(gateway: Gateway, name: str) -> Any:
    connection = gateway.open_chat(name=name, max_tokens=2)
    try:
        assert connection.sock is not None
        connection.sock.settimeout(0.2)
        answer = connection.getresponse()
    except TimeoutError:
        return None  # it got into the queue: closing takes it out again
    else:
        from gateway_process import Reply

        return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()
        if connection.sock is not None:
            connection.sock.close()


def test_a_client_with_many_requests_does_not_hold_up_another(start_gateway: Callable[..., Gateway]) -> None:
    """Ten requests of one client, then one of another: it is answered after at most what runs and one turn."""
    gateway = start_gateway(slots=1, max_queue=32)
    greedy = [gateway.open_chat(name="greedy", **ENDLESS | {"max_tokens": 300}) for _ in range(10)]
    until(lambda: gateway.worker_health().get("active") == 1, "the first runs")
    modest = gateway.open_chat(name="modest", max_tokens=2)
    assert modest.getresponse().status == 200
    done = sum(bool(select_ready(connection)) for connection in greedy)
    assert done <= 5
    for connection in (*greedy, modest):
        connection.close()


def select_ready(connection: Any) -> bool:
    import select

    return bool(select.select([connection.sock], [], [], 0)[0])
