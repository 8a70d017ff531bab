# SPDX-License-Identifier: GPL-3.0-or-later
"""A Private Tap: one tenant, any model, paid by GPU-seconds, GPU-hours and a month fee."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_process import Reply, until
from openai_server import OpenAiServer
from operator_tap import OperatorTap

from llama_orch.engine.records import Delta, Finished, Started
from llama_orch.ledger.books import accounts, grants, keys, packs, prices, usage
from llama_orch.ledger.books.book import Book
from llama_orch.ledger.check import check
from llama_orch.tap.config.reading import read
from llama_orch.tap.config.record import FILE, UpstreamSpec
from llama_orch.tap.config.writing import add_local, add_upstream
from llama_orch.tap.notices import start
from llama_orch.worker.service import devices_of
from llama_orch.worker.tally import Tally

EUR = 1_000_000
RATE = 100 * EUR  # per GPU-second, so that a small model's time is money


@pytest.fixture
def tap(orch_home: Path, tmp_path: Path) -> Iterator[OperatorTap]:
    made = OperatorTap(orch_home, tmp_path / "tap")
    yield made
    made.end()


def test_it_is_paid_by_time_and_by_the_month(tap: OperatorTap) -> None:
    with tap.found("private") as book:
        account = accounts.add(book, "tenant").id
        _, key = keys.add(book, "tenant")
        prices.add(book, "*", prices.Figures(gpu_second=RATE))
        packs.put(book, packs.Offer(name="hours", price=350 * EUR, gpu_hours=1))
        assert packs.sell(book, "tenant", "hours").amount == 3600 * RATE
    add_local(tap.folder, "any-name", "orch-demo")
    text = (tap.folder / FILE).read_text()
    (tap.folder / FILE).write_text(text.replace("# month_fee_eur = 400 ", "month_fee_eur = 400 "))
    gateway = tap.serve("--processes", "1")
    headers = {"authorization": f"Bearer {key}"}
    body = {"model": "any-name", "messages": [{"role": "user", "content": "What is the Public Tap?"}], "max_tokens": 8}
    answer = gateway.call("POST", "/v1/chat/completions", body, headers, key=False)
    assert answer.status == 200, answer.body
    cost = answer.json["usage"]["cost"]
    assert cost > 0
    with tap.book() as book:
        lines = until(lambda: usage.lines(book, "tenant", group_by="model") if _paid(tap) else None, "the charges")
        by_model = {line.group: line for line in lines}
        asked = by_model["any-name"]
        assert asked.cost == cost == asked.gpu_microseconds * RATE // EUR
        assert by_model["fee:month"].cost == 400 * EUR
        left = accounts.show(book, account)
        assert left.balance == 3600 * RATE - 400 * EUR - cost
        assert grants.listing(book, account)[0].remaining == left.balance
    second = tap.admin("POST", "/accounts", {"name": "another"})
    assert (second.status, second.error["code"]) == (409, "one_tenant")
    described = gateway.call("GET", "/.well-known/llama-orch", key=False).json
    assert described["mode"] == "private"
    assert described["models"][0]["pricing"]["gpu_second"] == RATE
    assert gateway.end(signal.SIGTERM) == 0
    assert check(f"{tap.folder}/tap.db") == []


def _paid(tap: OperatorTap) -> bool:
    with tap.book() as book:
        return {"any-name", "fee:month"} <= {line.group for line in usage.lines(book, None, group_by="model")}


def test_every_device_counts_and_a_server_elsewhere_is_timed(tap: OperatorTap) -> None:
    """A tap of 4 GPUs: a second at a server that tells no GPU time is 4 GPU-seconds; the cost told is the charge."""
    with OpenAiServer() as there:
        with tap.found("private") as book:
            account = accounts.add(book, "tenant").id
            _, key = keys.add(book, account)
            prices.add(book, "*", prices.Figures(gpu_second=EUR))
            grants.add(book, account, grants.Gift(amount=5000 * EUR))
        add_upstream(tap.folder, "m", UpstreamSpec("there", there.url))
        text = (tap.folder / FILE).read_text()
        (tap.folder / FILE).write_text(text.replace("# gpus = 1 ", "gpus = 4 "))
        gateway = tap.serve("--processes", "1")
        headers = {"authorization": f"Bearer {key}"}
        paid = []
        for stream in (False, True):
            body = {"model": "m", "messages": [{"role": "user", "content": "tokens=4 pause=100"}], "stream": stream}
            body |= {"stream_options": {"include_usage": True}} if stream else {}
            begun = time.monotonic()
            answer = gateway.call("POST", "/v1/chat/completions", body, headers, key=False)
            took = time.monotonic() - begun
            assert answer.status == 200, answer.body
            told = (
                [each for each in answer.events if each != "[DONE]" and each.get("usage")] if stream else [answer.json]
            )
            cost = told[-1]["usage"]["cost"]
            assert 0 < cost <= 4 * took * EUR + 1
            paid.append(cost)
        assert paid[1] >= 4 * 0.3 * EUR, "three pauses of 100 ms on four devices"
        with tap.book() as book:
            [line] = usage.lines(book, "tenant", group_by="model")
            assert line.cost == sum(paid)
            assert abs(line.gpu_microseconds - sum(paid)) <= 2
    assert gateway.end(signal.SIGTERM) == 0
    assert check(f"{tap.folder}/tap.db") == []


def test_an_unpaid_fee_pauses_the_tap_until_it_is_paid(tap: OperatorTap) -> None:
    with OpenAiServer() as there:
        with tap.found("private") as book:
            account = accounts.add(book, "tenant").id
            _, key = keys.add(book, account)
            prices.add(book, "*", prices.Figures(gpu_second=1))
            grants.add(book, account, grants.Gift(amount=300 * EUR))
        add_upstream(tap.folder, "m", UpstreamSpec("there", there.url))
        text = (tap.folder / FILE).read_text().replace("# month_fee_eur = 400 ", "month_fee_eur = 400 ")
        (tap.folder / FILE).write_text(text.replace("# grace_days = 7 ", "grace_days = 0 "))
        gateway = tap.serve("--processes", "2")
        headers = {"authorization": f"Bearer {key}"}
        body = {"model": "m", "messages": [{"role": "user", "content": "tokens=1"}], "max_tokens": 4}

        def asked() -> Reply:
            return gateway.call("POST", "/v1/chat/completions", body, headers, key=False)

        refused = until(lambda: (found := asked()).status == 402 and found, "it pauses")
        assert refused.error["code"] == "insufficient_credits"
        told = refused.error["metadata"]
        assert (told["limit_source"], told["affordable_max_tokens"]) == ("month_fee", 0)
        told = gateway.call("GET", "/v1/credits", None, headers, key=False).json
        assert told["paused"]
        assert "fee_unpaid" in told["warnings"]
        with tap.book() as book:
            grants.add(book, account, grants.Gift(amount=200 * EUR))
            until(lambda: asked().status == 200, "it resumes, without a restart")
            assert _fees(book) == {account}
        assert not gateway.call("GET", "/v1/credits", None, headers, key=False).json["paused"]
    assert gateway.end(signal.SIGTERM) == 0
    assert check(f"{tap.folder}/tap.db") == []


def test_a_small_rest_of_a_pack_still_serves(tap: OperatorTap) -> None:
    """What is reserved is what the request can need, not ten minutes; an open length is what the rest affords."""
    with OpenAiServer() as there:
        with tap.found("private") as book:
            account = accounts.add(book, "tenant").id
            _, key = keys.add(book, account)
            prices.add(book, "*", prices.Figures(gpu_second=EUR))
            grants.add(book, account, grants.Gift(amount=60 * EUR))  # a minute
        add_upstream(tap.folder, "m", UpstreamSpec("there", there.url))
        gateway = tap.serve("--processes", "1")
        headers = {"authorization": f"Bearer {key}"}

        def asked(**more: object) -> Reply:
            body = {"model": "m", "messages": [{"role": "user", "content": "tokens=1"}]} | more
            return gateway.call("POST", "/v1/chat/completions", body, headers, key=False)

        assert asked(max_tokens=100).status == 200
        open_length = asked()
        assert open_length.status == 200
        assert 100 < int(open_length.headers["x-orch-max-tokens-clamped"]) < 600, "ten tokens a second, of a minute"
        refused = asked(max_tokens=5000)
        assert refused.status == 402
        assert 100 < refused.error["metadata"]["affordable_max_tokens"] < 600
        with tap.book() as book:
            grants.add(book, account, grants.Gift(amount=600 * EUR))
        assert asked(max_tokens=50_000).status == 200, "never more than request_seconds"
    assert gateway.end(signal.SIGTERM) == 0
    assert check(f"{tap.folder}/tap.db") == []


def test_a_fee_that_is_not_covered_is_said_once(tap: OperatorTap) -> None:
    with tap.found("private") as book:
        account = accounts.add(book, "tenant").id
        grants.add(book, account, grants.Gift(amount=5 * EUR))
        text = (tap.folder / FILE).read_text()
        (tap.folder / FILE).write_text(text.replace("# month_fee_eur = 400 ", "month_fee_eur = 400 "))
        with capturing() as said:
            keeper = start(read(tap.folder, environ={}), every=0.05)
            try:
                until(lambda: said, "the warning")
                assert accounts.show(book, account).balance == 5 * EUR, "nothing is taken in part"
                grants.add(book, account, grants.Gift(amount=400 * EUR))
                until(lambda: _fees(book) == {account}, "the fee")
            finally:
                keeper.close()
        assert accounts.show(book, account).balance == 5 * EUR
        [words] = said
        assert account in words


@pytest.mark.parametrize(
    ("placed", "named"),
    [
        ({}, ["CPU"]),
        ({"layers_gpu": 0, "devices": ["CPU"]}, ["CPU"]),
        ({"layers_gpu": 9, "devices": ["CUDA0", "CPU"]}, ["CUDA0"]),
        ({"layers_gpu": 9, "devices": ["CUDA0", "CUDA1"]}, ["CUDA0", "CUDA1"]),
    ],
)
def test_a_worker_counts_the_devices_that_hold_its_model(placed: dict[str, object], named: list[str]) -> None:
    assert devices_of(placed) == named


def test_a_receipt_has_the_shares_of_all_choices() -> None:
    tally = Tally()
    tally.prompts([3], 2)
    tally.started(0, Started(prompt_tokens=3, cached_tokens=0))
    tally.spoke(0, Delta("a", 1, seconds=0.25))
    tally.spoke(1, Delta("b", 1, seconds=0.5))
    assert tally.receipt().gpu_microseconds == 750_000, "as far as it has come"
    tally.finished(0, Finished("stop", 3, 0, 2, seconds=1.0))
    tally.finished(1, Finished("stop", 3, 0, 2, seconds=0.75))
    assert tally.receipt().gpu_microseconds == 1_750_000


def test_four_at_once_pay_together_for_the_time_of_the_box(tap: OperatorTap) -> None:
    """Two models on one device, two streams of each: no more is charged than the clock on the wall shows."""
    with tap.found("private") as book:
        account = accounts.add(book, "tenant").id
        _, key = keys.add(book, "tenant")
        prices.add(book, "*", prices.Figures(gpu_second=EUR))
        grants.add(book, account, grants.Gift(amount=10_000 * EUR))
    for name in ("left", "right"):
        add_local(tap.folder, name, "orch-demo")
    gateway = tap.serve("--processes", "2")
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    body = {"messages": [{"role": "user", "content": "What is the Public Tap?"}], "max_tokens": 48, "stream": True}
    body |= {"logit_bias": {"509": -100}, "stream_options": {"include_usage": True}}
    begun = time.monotonic()
    asked = []
    for number in range(4):
        connection = gateway.connect()
        named = body | {"model": ("left", "right")[number % 2]}
        connection.request("POST", "/v1/chat/completions", json.dumps(named), headers)
        asked.append(connection)
    costs = []
    for connection in asked:
        frames = [line for line in connection.getresponse().read().split(b"\n") if line.startswith(b"data: {")]
        costs.append(json.loads(frames[-1][6:])["usage"]["cost"])
        connection.close()
    wall = time.monotonic() - begun
    assert min(costs) > 0
    assert sum(costs) <= wall * EUR + len(costs), "each is rounded up by itself"
    with tap.book() as book:
        lines = until(
            lambda: (found := usage.lines(book, "tenant", group_by="model")) and len(found) == 2 and found, ""
        )
        assert sum(line.cost for line in lines) == sum(costs)
        assert sum(line.gpu_microseconds for line in lines) <= wall * 1e6
    assert gateway.end(signal.SIGTERM) == 0
    assert check(f"{tap.folder}/tap.db") == []


def test_four_at_once_at_a_server_elsewhere_share_its_time(tap: OperatorTap) -> None:
    """Two gateway processes, two models at one server: the time that somebody was there, once."""
    with OpenAiServer() as there:
        with tap.found("private") as book:
            account = accounts.add(book, "tenant").id
            _, key = keys.add(book, account)
            prices.add(book, "*", prices.Figures(gpu_second=EUR))
            grants.add(book, account, grants.Gift(amount=10_000 * EUR))
        for name in ("left", "right"):
            add_upstream(tap.folder, name, UpstreamSpec("there", there.url))
        gateway = tap.serve("--processes", "2")
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        begun = time.monotonic()
        asked = []
        for number in range(4):
            connection = gateway.connect()
            body = {"model": ("left", "right")[number % 2]}
            body |= {"messages": [{"role": "user", "content": "tokens=5 pause=100"}]}
            connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
            asked.append(connection)
        costs = [json.loads(connection.getresponse().read())["usage"]["cost"] for connection in asked]
        wall = time.monotonic() - begun
        for connection in asked:
            connection.close()
        assert min(costs) > 0
        assert sum(costs) <= wall * EUR + len(costs)
    assert gateway.end(signal.SIGTERM) == 0
    assert check(f"{tap.folder}/tap.db") == []


def _fees(book: Book) -> set[str]:
    with book.reading() as connection:
        return {row[0] for row in connection.exec_driver_sql("SELECT account FROM payments WHERE kind = 'fee'")}


@contextlib.contextmanager
def capturing() -> Iterator[list[str]]:
    """What the keeper of notices logs meanwhile."""
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger("llama_orch.tap.notices")
    log.addHandler(handler)
    try:
        yield said
    finally:
        log.removeHandler(handler)
