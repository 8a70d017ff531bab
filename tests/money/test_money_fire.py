# SPDX-License-Identifier: GPL-3.0-or-later
"""Money under fire: a thousand calls at once from three processes, and processes killed at random moments."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from gateway_process import until
from many_calls import Answer, at_once, post
from processes import workers_of
from tap_house import EURO, House, Tenant, cost

CALLS = 1000
AFFORDED = 100
TOKENS = 5
KILLS = int(os.environ.get("ORCH_TEST_KILLS", "12"))
"""The issue's number is 100, which takes minutes: ORCH_TEST_KILLS=100 pytest tests/money/test_money_fire.py."""
ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "logit_bias": {"509": -100, "511": -100}, "cache_prompt": False}
ROOMY = {"account_concurrent": 2000, "max_concurrent": 2000, "max_queue": 2000, "max_connections": 4000}
CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": TOKENS} | ENDLESS


class Watch(threading.Thread):
    """Looks at the account again and again: at no instant may anything be below zero."""

    def __init__(self, tenant: Tenant) -> None:
        super().__init__()
        self._tenant, self._over = tenant, threading.Event()
        self.least, self.most, self.looks = 10**12, 0, 0

    def run(self) -> None:
        while not self._over.is_set():
            balance, reserved = self._tenant.row()
            self.least = min(self.least, balance, reserved)
            self.most = max(self.most, balance + reserved)
            self.looks += 1
            self._over.wait(0.005)

    def end(self) -> None:
        self._over.set()
        self.join()


def exact_prompt(tenant: Tenant) -> int:
    body = {"model": "tiny", "messages": CHAT["messages"]}
    return tenant.call("POST", "/v1/chat/completions/input_tokens", body).json["input_tokens"]


def test_a_thousand_calls_from_three_processes(ledger_url: str, open_house: Callable[..., House]) -> None:
    house = open_house(ledger_url, processes=3, limits=ROOMY)
    each = cost(exact_prompt(house.tenant("rich")), 0, TOKENS)
    tenant = house.tenant("fire", each * AFFORDED)
    watch = Watch(tenant)
    watch.start()
    answers = at_once(house.gateway.address, tenant.secret, "/v1/chat/completions", [CHAT] * CALLS)
    watch.end()
    good = [answer for answer in answers if answer.status == 200]
    statuses = Counter(answer.status for answer in answers)
    assert set(statuses) <= {200, 402}, statuses
    assert AFFORDED // 2 < len(good) <= AFFORDED, statuses
    assert all(answer.json["usage"]["cost"] == each for answer in good)
    assert watch.looks > 10
    assert watch.least >= 0
    assert watch.most <= each * AFFORDED
    assert tenant.row() == (each * (AFFORDED - len(good)), 0)
    settled = [row for row in tenant.usages() if row["ending"] == "settled"]
    assert len(settled) == len(good)
    assert house.check() == []


class Load:
    """Clients that ask without end: whole answers, streams, and streams that they cut."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self._tenant, self._random = tenant, random.Random(seed)
        self.answers: dict[str, Answer] = {}
        self._over = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._over = True
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(number) for number in range(6)))

    async def _client(self, number: int) -> None:
        turn = 0
        while not self._over:
            turn += 1
            name = f"load-{number}-{turn}"
            stream = self._random.random() < 0.5
            body = CHAT | {"max_tokens": self._random.randrange(1, 120), "stream": stream}
            body |= {"stream_options": {"include_usage": True}} if stream else {}
            asked = post(
                self._tenant.house.gateway.address,
                self._tenant.secret,
                "/v1/chat/completions",
                body,
                {"x-orch-request-id": name},
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._random.choice((0.02, 0.1, 20.0, 20.0))):
                    self.answers[name] = await asked


def told_cost(answer: Answer) -> int | None:
    """What a whole answer says that it cost."""
    if answer.status != 200 or not answer.whole:
        return None
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json["usage"]["cost"]
    if not answer.body.endswith(b"data: [DONE]\n\n"):
        return None
    frames = [line[6:] for line in answer.body.split(b"\n") if line.startswith(b"data: {")]
    return json.loads(frames[-1])["usage"]["cost"]


def test_processes_that_are_killed_lose_not_one_micro_euro(
    ledger_url: str, open_house: Callable[..., House], record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(2**32)
    record_property("seed", seed)
    print("seed", seed)
    chance = random.Random(seed)
    house = open_house(ledger_url, processes=2, limits={"lease_seconds": 2.0})
    tenant = house.tenant("kills", 1000 * EURO)
    load, watch = Load(tenant, seed), Watch(tenant)
    load.start()
    watch.start()
    killed = {"gateway": 0, "worker": 0}
    while sum(killed.values()) < KILLS:
        time.sleep(chance.random() * 0.5)  # the moment of the murder is what is random here
        kind = chance.choice(["gateway", "gateway", "worker"])
        found = house.processes if kind == "gateway" else workers_of(house.folder)
        if found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)
                killed[kind] += 1
    until(lambda: len(house.processes) == 2, "both are there again")
    until(lambda: tenant.chat(max_tokens=2).status == 200, "it serves again")
    load.end()
    watch.end()
    until(lambda: tenant.row()[1] == 0, "nothing stays reserved after the lease", seconds=15)
    rows = tenant.usages()
    by_request: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_request.setdefault(row["request_id"], []).append(row)
    assert tenant.row() == (1000 * EURO - sum(row["cost"] for row in rows), 0)
    assert watch.least >= 0
    told = {name: cost for name, answer in load.answers.items() if (cost := told_cost(answer)) is not None}
    assert told, "some answers were whole"
    for name, paid in told.items():
        assert sum(row["cost"] for row in by_request[name]) == paid, name
    assert all(sum(row["ending"] == "settled" for row in same) <= 1 for same in by_request.values())
    assert house.check() == []


@pytest.mark.parametrize("who", ["gateway", "worker"])
def test_a_stream_whose_process_is_killed_is_charged_for_what_was_there(
    sqlite_url: str, open_house: Callable[..., House], who: str
) -> None:
    house = open_house(sqlite_url, limits={"lease_seconds": 1.2})
    tenant = house.tenant("one stream")
    connection = house.gateway.connect()
    body = CHAT | {"stream": True, "max_tokens": 2000}
    headers = {"content-type": "application/json", "authorization": f"Bearer {tenant.secret}"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    seen, began = 0, time.monotonic()
    while seen < 400 or time.monotonic() - began < 0.7:  # a checkpoint or two are written by then
        if not (line := answer.readline()):
            break
        seen += b'"content": "' in line
    victims = house.processes if who == "gateway" else workers_of(house.folder)
    os.kill(victims[0], signal.SIGKILL)
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        answer.read()
    answer.close()
    connection.close()
    row = until(lambda: not tenant.row()[1] and tenant.usages(), "it is ended", seconds=15)[0]
    if row["output_tokens"] == 2000:
        assert row["cost"] == cost(row["prompt_tokens"], 0, 2000)  # it was quicker
    else:
        assert (row["ending"], row["partial"]) == ("settled", 1)
        assert 0 < row["cost"] < row["amount"]
    assert house.check() == []
