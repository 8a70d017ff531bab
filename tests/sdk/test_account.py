# SPDX-License-Identifier: GPL-3.0-or-later
"""Credits, usage, costs, and `max_cost`, which is kept before a request is sent."""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_utils import (
    AsyncClient,
    BadRequest,
    BudgetExceeded,
    Client,
    InsufficientCredits,
    InvalidAnswer,
    OrchError,
    Pricing,
    StreamBroken,
    UnsupportedByTarget,
)
from llama_orch_utils.client.account import credits_of, report_of, usage_path
from llama_orch_utils.money import display, micro_euros
from llama_orch_utils.testing import FakeTap

PRICES = {"input": 1_000_000, "cached": 250_000, "output": 2_000_000}  # 1, 0.25 and 2 micro-euros a token


def client(tap: FakeTap, **more: object) -> Client:
    return Client(tap.url, key="sk-test-1", **more)  # type: ignore[arg-type]


def test_an_answer_tells_its_cost() -> None:
    with FakeTap(pricing=PRICES, balance=1000) as tap, client(tap) as orch:
        tap.answer(["one ", "two"])
        assert orch.chat("three words here").cost == 3 + 2 * 2
        tap.answer(["one ", "two"])
        with orch.stream("three words here") as stream:
            assert "".join(piece.text for piece in stream) == "one two"
        assert stream.answer.cost == 7
        found = orch.credits()
        assert (found.balance, found.paused, found.currency, found.grants[0].kind) == (986, False, "EUR", "gift")
        assert orch.models()[0].pricing == Pricing(1_000_000, 250_000, 2_000_000, 0)


def test_where_nothing_is_charged() -> None:
    with FakeTap() as tap, client(tap) as orch:
        assert orch.chat("Hi").cost is None
        assert orch.models()[0].pricing is None
        for ask in (orch.credits, orch.usage):
            with pytest.raises(UnsupportedByTarget, match="keeps no account") as caught:
                ask()
            assert caught.value.capability == "credits"
    with Client("local") as orch, pytest.raises(UnsupportedByTarget):
        orch.credits()


def test_the_balance_is_used_up() -> None:
    with FakeTap(pricing=PRICES, balance=1) as tap, client(tap) as orch:
        orch.chat("Hi")
        with pytest.raises(InsufficientCredits) as caught:
            orch.chat("Hi")
        assert (caught.value.affordable_max_tokens, caught.value.hint) == (0, "orch credits")
        assert orch.credits().paused


def test_a_cost_is_capped_before_it_is_spent() -> None:
    with FakeTap(pricing=PRICES, balance=10**9) as tap, client(tap, max_cost="0.002 EUR") as orch:
        tap.answer(["word "] * 10)
        assert orch.chat("Hi").cost == 21
        bound = tap.asked[-1].json["max_tokens"]
        assert 0 < bound <= 1000  # 2,000 micro-euros at 2 a token, less the prompt
        assert bound > 600
        orch.chat("Hi", max_tokens=5)
        assert tap.asked[-1].json["max_tokens"] == 5
        before = len(tap.asked)
        with pytest.raises(BudgetExceeded, match="max_cost") as caught:
            orch.chat("word " * 4000)
        assert caught.value.limit_source == "max_cost"
        posted = [asked.path for asked in tap.asked[before:] if asked.method == "POST"]
        assert posted == ["/v1/chat/completions/input_tokens"], "it was counted, and not sent"
        tap.answer(["word "] * 400, usage={"prompt_tokens": 1, "completion_tokens": 940, "cost": 1881})
        orch.chat("Hi")
        with pytest.raises(BudgetExceeded):  # 21 + 11 + 1,881 of 2,000 are spent
            orch.chat("word " * 100)


def test_streams_count_too_and_a_broken_one_counts_in_full() -> None:
    with FakeTap(pricing=PRICES, balance=10**9) as tap, client(tap, max_cost=0.002) as orch:
        budget = orch._core.budget
        assert budget is not None
        tap.answer(["one ", "two"])
        with orch.stream("Hi") as stream:
            list(stream)
        assert (budget.spent, budget._held) == (5, 0)
        tap.cut("one ")
        with pytest.raises(StreamBroken), orch.stream("Hi", max_tokens=100) as stream:
            list(stream)
        assert budget._held == 0
        assert 205 <= budget.spent <= 2000
        spent = budget.spent
        with orch.stream("Hi", max_tokens=10) as stream:
            next(iter(stream))
        assert budget._held == 0
        assert budget.spent > spent, "nobody knows what it cost"


def test_what_was_not_served_costs_nothing() -> None:
    with FakeTap(pricing=PRICES, balance=10**9) as tap, client(tap, max_cost=0.002, retries=0) as orch:
        tap.error(400, "no", code="bad_request")
        with pytest.raises(BadRequest):
            orch.chat("Hi")
        assert orch._core.budget is not None
        assert (orch._core.budget.spent, orch._core.budget._held) == (0, 0)


def test_without_prices_nothing_can_be_capped() -> None:
    with FakeTap() as tap, client(tap, max_cost=1) as orch:
        with pytest.raises(UnsupportedByTarget) as caught:
            orch.chat("Hi")
        assert caught.value.capability == "pricing"


def test_the_same_awaited() -> None:
    async def ask(tap: FakeTap) -> tuple[int | None, int, str]:
        async with AsyncClient(tap.url, key="sk-test-1", max_cost="€0.01") as orch:
            answer = await orch.chat("Hi")
            return answer.cost, (await orch.credits()).balance, (await orch.usage(3, group_by="model")).group_by

    with FakeTap(pricing=PRICES, balance=500) as tap:
        tap.answer("one")
        assert asyncio.run(ask(tap)) == (3, 497, "model")


def test_usage_is_asked_for_by_days() -> None:
    today = dt.datetime.now(dt.UTC).date()
    assert usage_path(1, "day") == f"/usage?from={today}&to={today}&group_by=day"
    for days, group in ((0, "day"), (9999, "day"), (3, "week")):
        with pytest.raises(BadRequest):
            usage_path(days, group)  # type: ignore[arg-type]


def test_odd_answers_are_said() -> None:
    for raw, where in (
        ({}, "/balance"),
        ({"balance": "1", "reserved": 0}, "/balance"),
        ({"balance": True}, "/balance"),
    ):
        with pytest.raises(InvalidAnswer) as caught:
            credits_of(raw)
        assert caught.value.pointer == where
    with pytest.raises(InvalidAnswer) as caught:
        report_of({"rows": [{"day": "2026-01-01", "requests": 1}]})
    assert caught.value.pointer == "/rows/0/input_tokens"


@pytest.mark.parametrize("text", ["0.50 EUR", "€0.5", "0,5", 0.5, "0.5", " .5 EUR", "0.5€", "EUR 0.50"])
def test_amounts(text: str | float) -> None:
    if str(text).startswith(" ."):
        with pytest.raises(BadRequest):
            micro_euros(text)
    else:
        assert micro_euros(text) == 500_000


@pytest.mark.parametrize("text", ["", "free", "-1", "1e9", "0", "1.2.3", "NaN", "1 USD", "0.0000001"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(OrchError):
        micro_euros(text)


@given(st.integers(-(10**15), 10**15))
def test_an_amount_is_written_to_the_cent_or_finer(amount: int) -> None:
    text = display(amount)
    value = Decimal(text.replace("€", "").replace(",", "").replace("-", "")) * 1_000_000
    assert abs(value - abs(amount)) <= 5_000
    if 0 < abs(amount) < 10_000:
        assert value == abs(amount), "nothing below a cent is rounded away"
    assert text.startswith("-") == (amount < 0)


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_cost_is_rounded_up_once(tokens: int, cached: int, output: int) -> None:
    price = Pricing(1_200_000, 300_000, 1_200_001, 0)
    exact = Decimal(tokens * price.input + cached * price.cached + output * price.output) / 1_000_000
    assert 0 <= price.cost(tokens + cached, output, cached) - exact < 1
