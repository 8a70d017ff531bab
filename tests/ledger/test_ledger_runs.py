# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of an applet spends its caller's money under its caller's key: up to a cap, for a time, and until it ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ledger_house import Clock, House, used
from sqlalchemy.exc import DBAPIError

from llama_orch.ledger.check import check
from llama_orch.ledger.database import writing
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import Run
from llama_orch_utils.errors import (
    BudgetExceeded,
    InsufficientCredits,
    NotAllowed,
    NotAuthorised,
    OrchError,
    RateLimited,
    RequestError,
)

RUN = "r23456789abcdefg"


def play(house: House, scene: Callable[[Ledger], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        ledger = await Ledger.open(house.url, clock=house.clock)
        try:
            return await scene(ledger)
        finally:
            await ledger.close()

    return asyncio.run(run())


async def begin(ledger: Ledger, house: House, most: int = 100, seconds: float = 60, run: str = RUN) -> Run:
    return await ledger.begin_run(run, house.account, house.key, "echo", most, seconds)


def spent(house: House, run: str = RUN) -> tuple[int, int]:
    """What it has spent by its own row, and what its requests cost."""
    with house.engine.connect() as connection:
        kept = connection.exec_driver_sql(f"SELECT spent FROM runs WHERE id = '{run}'").scalar_one()
        summed = connection.exec_driver_sql(f"SELECT SUM(cost) FROM usage WHERE run = '{run}'").scalar_one()
        return int(kept), int(summed or 0)


def test_it_is_held_to_its_cap_whatever_the_balance_is(house: House) -> None:
    house.grant(1000)

    async def scene(ledger: Ledger) -> None:
        made = await begin(ledger, house, most=100)
        assert (made.most, made.spent, made.ended, made.expires_at) == (100, 0, False, house.clock() + 60)
        first = await ledger.reserve(house.order(prompt=30, wanted=40, run=RUN))
        with pytest.raises(BudgetExceeded) as caught:
            await ledger.reserve(house.order(prompt=10, wanted=21, run=RUN))
        error = caught.value
        assert (error.limit_source, error.balance, error.affordable_max_tokens) == ("run_limit", 30, 20)
        open_end = await ledger.reserve(house.order(prompt=10, wanted=None, run=RUN))
        assert (open_end.max_tokens, open_end.clamped) == (20, True)
        await ledger.settle(first.id, used(10, 5), "stop")
        await ledger.release(open_end.id, "nothing")
        again = await ledger.reserve(house.order(prompt=40, wanted=45, run=RUN))  # what was not used came back
        await ledger.settle(again.id, used(40, 45), "stop")
        with pytest.raises(BudgetExceeded):
            await ledger.reserve(house.order(prompt=1, wanted=1, run=RUN))
        beside = await ledger.reserve(house.order(prompt=100, wanted=100))  # the key itself has no such cap
        await ledger.settle(beside.id, used(100, 100), "stop")
        over = await ledger.end_run(RUN, house.account)
        assert (over.spent, over.ended) == (100, True)
        state = await ledger.key_state(house.key)
        assert (state.total_spent, state.running) == (300, 0)

    play(house, scene)
    assert spent(house) == (100, 100)


def test_a_run_that_has_ended_or_whose_time_is_over_reserves_nothing(house: House, clock: Clock) -> None:
    house.grant(1000)

    async def scene(ledger: Ledger) -> None:
        await begin(ledger, house)
        held = await ledger.reserve(house.order(run=RUN))
        assert (await ledger.end_run(RUN, house.account)).spent == 20  # what is open counts in full
        assert (await ledger.end_run(RUN, house.account)).ended
        await ledger.settle(held.id, used(10, 1), "cancelled")  # what had begun is charged what it used
        for run, when in ((RUN, 0), ("r3", 61), ("r4", 0)):
            if run == "r3":
                await begin(ledger, house, run="r3")
            clock.at += when
            with pytest.raises(NotAuthorised) as caught:
                await ledger.reserve(house.order(run=run))
            assert caught.value.code == "run_ended"
        with pytest.raises(RequestError, match="there is no run"):
            await ledger.end_run("nothing", house.account)

    play(house, scene)
    assert spent(house) == (11, 11)


def test_its_key_is_looked_at_for_every_request(house: House, clock: Clock) -> None:
    house.grant(1000)
    house.add_account("other")
    house.add_key("theirs", "other")

    async def scene(ledger: Ledger) -> None:
        await begin(ledger, house)
        with pytest.raises(NotAuthorised):  # nobody else's key makes use of it
            await ledger.reserve(house.order(account="other", key="theirs", run=RUN))
        refusals: list[tuple[dict[str, Any], type[OrchError]]] = [
            ({"models": '["another"]'}, NotAllowed),
            ({"paused": True}, NotAllowed),
            ({"requests_per_minute": 1}, RateLimited),
            ({"concurrent": 1}, RateLimited),
            ({"budget_day": 30}, BudgetExceeded),
            ({"revoked_at": clock.at}, NotAuthorised),
        ]
        held = await ledger.reserve(house.order(run=RUN))
        plain = {"models": "[]", "paused": False, "requests_per_minute": None, "concurrent": None, "budget_day": None}
        for change, kind in refusals:
            house.change_key(**plain | change)
            if kind is RateLimited and "requests_per_minute" in change:  # counted from now on
                first = await ledger.reserve(house.order(run=RUN))
                await ledger.release(first.id, "one a minute")
            with pytest.raises(kind):
                await ledger.reserve(house.order(run=RUN))
        with pytest.raises(NotAuthorised):
            await begin(ledger, house, run="r5")
        await ledger.settle(held.id, used(10, 10), "stop")

    play(house, scene)


def test_its_cap_is_never_more_than_the_budgets_of_the_key_have_left(house: House, clock: Clock) -> None:
    house.grant(1000)
    house.change_key(budget_day=50, budget_month=70, expires_at=clock.at + 10)

    async def scene(ledger: Ledger) -> None:
        made = await begin(ledger, house)
        assert (made.most, made.expires_at) == (50, clock.at + 10)
        held = await ledger.reserve(house.order(prompt=20, wanted=20))
        await ledger.settle(held.id, used(20, 20), "stop")
        assert (await begin(ledger, house, run="r6")).most == 10
        house.change_key(budget_day=40)
        assert (await begin(ledger, house, run="r7")).most == 0
        with pytest.raises(BudgetExceeded):
            await ledger.reserve(house.order(prompt=1, wanted=1, run="r7"))
        house.change_key(budget_day=None, budget_month=None)
        with pytest.raises(InsufficientCredits):  # what is short is told: here the money
            await ledger.reserve(house.order(prompt=1000, wanted=1))

    play(house, scene)


def test_what_a_gateway_that_died_left_open_goes_back_and_the_run_is_over(house: House, clock: Clock) -> None:
    house.grant(1000)

    async def first(ledger: Ledger) -> None:
        await begin(ledger, house, seconds=20)
        await ledger.reserve(house.order(run=RUN, lease_seconds=5))

    async def later(ledger: Ledger) -> None:
        clock.at += 25
        assert await ledger.sweep() == 1
        with pytest.raises(NotAuthorised):
            await ledger.reserve(house.order(run=RUN))
        assert (await ledger.credits(house.account)).reserved == 0

    play(house, first)
    play(house, later)
    assert spent(house) == (0, 0)


def test_many_at_once_from_two_processes_never_pass_the_cap(house: House) -> None:
    house.grant(100_000)
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)

    async def one(ledger: Ledger) -> int:
        try:
            held = await ledger.reserve(house.order(prompt=10, wanted=10, run=RUN))
        except BudgetExceeded:
            return 0
        await asyncio.sleep(0)
        if dice.random() < 0.3:
            await ledger.release(held.id, "not needed")
            return 0
        return (await ledger.settle(held.id, used(10, dice.randrange(11)), "stop")).cost

    async def scene(ledger: Ledger) -> None:
        other = await Ledger.open(house.url, clock=house.clock)
        await begin(ledger, house, most=995)
        costs = await asyncio.gather(*(one(each) for _ in range(120) for each in (ledger, other)))
        await other.close()
        over = await ledger.end_run(RUN, house.account)
        assert over.spent == sum(costs) <= 995

    play(house, scene)
    assert spent(house)[0] == spent(house)[1] <= 995


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM runs", "UPDATE runs SET most = most + 1", "UPDATE runs SET spent = most + 1",
     "UPDATE runs SET key = 'x'", "UPDATE runs SET expires_at = 1e12"],
)  # fmt: skip
def test_the_database_itself_keeps_the_cap(house: House, statement: str) -> None:
    play(house, lambda ledger: begin(ledger, house))
    with pytest.raises(DBAPIError), writing(house.engine) as connection:
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [("UPDATE runs SET spent = spent - 1", "run_spent"), ("UPDATE reservations SET run = 'x'", "run_stranger")],
)
def test_check_finds_what_was_changed_behind_its_back(ledger_url: str, clock: Clock, statement: str, rule: str) -> None:
    house = House(ledger_url, clock)
    house.set_price()
    house.grant(1000)

    async def scene(ledger: Ledger) -> None:
        await begin(ledger, house)
        held = await ledger.reserve(house.order(run=RUN))
        await ledger.settle(held.id, used(10, 10), "stop")
        await ledger.reserve(house.order(run=RUN))

    play(house, scene)
    assert check(ledger_url) == []
    with writing(house.engine) as connection:
        connection.exec_driver_sql(statement)
    house.close()
    assert rule in {finding.rule for finding in check(ledger_url)}
