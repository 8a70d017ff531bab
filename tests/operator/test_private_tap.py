# SPDX-License-Identifier: GPL-3.0-or-later
"""A Private Tap: one tenant, any model, paid by GPU-seconds, GPU-hours and a month fee."""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_process import until
from openai_server import OpenAiServer
from operator_tap import OperatorTap

from llama_orch.engine.records import Started
from llama_orch.ledger.books import accounts, grants, keys, packs, prices, usage
from llama_orch.ledger.books.book import Book
from llama_orch.ledger.check import check
from llama_orch.tap.config.reading import read
from llama_orch.tap.config.record import FILE, UpstreamSpec
from llama_orch.tap.config.writing import add_local, add_upstream
from llama_orch.tap.notices import start
from llama_orch.worker.service import gpus_of
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
    ("placed", "counted"),
    [
        ({}, 1),
        ({"layers_gpu": 0, "devices": ["CPU"]}, 1),
        ({"layers_gpu": 9, "devices": ["CUDA0", "CPU"]}, 1),
        ({"layers_gpu": 9, "devices": ["CUDA0", "CUDA1", "CUDA2", "CUDA3"]}, 4),
    ],
)
def test_a_worker_counts_the_devices_that_hold_its_model(placed: dict[str, object], counted: int) -> None:
    assert gpus_of(placed) == counted
    tally = Tally(gpus=counted)
    tally.prompts([3], 1)
    tally.started(0, Started(prompt_tokens=3, cached_tokens=0))
    begun = time.monotonic()
    until(lambda: time.monotonic() - begun > 0.02, "some time")
    tally.final()
    assert tally.receipt().gpu_microseconds >= 20_000 * counted


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
