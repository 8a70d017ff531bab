# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants: their twelve months, their end while a request runs, adjustments, corrections and fees."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_house import Clock, House, used

from llama_orch.ledger.calendar import months_later
from llama_orch.ledger.database import writing
from llama_orch.ledger.granting import Gift, adjust, charge, correct, give
from llama_orch.ledger.ledger import Ledger
from llama_orch_utils.errors import BadRequest, InsufficientCredits, RequestError


def play(house: House, scene: Callable[[Ledger], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        ledger = await Ledger.open(house.url, clock=house.clock)
        try:
            return await scene(ledger)
        finally:
            await ledger.close()

    return asyncio.run(run())


def unix(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def history(house: House) -> list[tuple[str, str, str, int]]:
    with house.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT kind, source, target, amount FROM journal ORDER BY id")
        return [(row[0], row[1], row[2], row[3]) for row in rows]


@pytest.mark.parametrize(
    ("bought", "expires"),
    [
        ("2026-11-21T10:00:00", "2027-11-21T10:00:00"),
        ("2027-06-01T00:00:00", "2028-06-01T00:00:00"),  # 366 days: there is a 29 February between
        ("2028-02-29T12:30:00", "2029-03-01T12:30:00"),  # there is none a year later
        ("2028-02-28T23:59:59", "2029-02-28T23:59:59"),
        ("2027-03-01T00:00:00", "2028-03-01T00:00:00"),
        ("2027-12-31T23:59:59", "2028-12-31T23:59:59"),
    ],
)
def test_a_grant_lives_twelve_months_of_the_calendar(sqlite_url: str, bought: str, expires: str) -> None:
    house = House(sqlite_url, Clock(unix(bought)))
    assert house.grant(1).expires_at == unix(expires)
    house.close()


@given(st.floats(min_value=0, max_value=4e9, allow_nan=False))
def test_twelve_months_are_never_less_than_a_year(at: float) -> None:
    assert 365 * 86400 - 1e-3 <= months_later(at) - at <= 366 * 86400 + 1e-3


def test_days_are_days_also_in_a_leap_year(house: House, clock: Clock) -> None:
    clock.at = unix("2027-06-01T00:00:00")
    assert house.grant(1, days=365).expires_at == unix("2028-05-31T00:00:00")
    with pytest.raises(BadRequest):
        house.grant(1, days=0)
    with pytest.raises(BadRequest):
        house.grant(0)
    with pytest.raises(BadRequest):
        house.grant(-5)
    with pytest.raises(BadRequest):
        house.grant(1, account="nobody")


def test_at_its_last_instant_a_grant_pays_and_then_no_more(house: House, clock: Clock) -> None:
    expires_at = house.grant(100).expires_at
    assert expires_at is not None

    async def scene(ledger: Ledger) -> None:
        clock.at = expires_at - 0.001
        await ledger.release((await ledger.reserve(house.order())).id, "only a try")
        assert await ledger.sweep() == 0
        clock.at = expires_at
        money = await ledger.credits(house.account)
        assert (money.balance, money.grants, money.paused) == (0, (), True)
        with pytest.raises(InsufficientCredits) as refusal:
            await ledger.reserve(house.order())
        assert refusal.value.balance == 0
        assert await ledger.sweep() == 1
        assert await ledger.sweep() == 0

    play(house, scene)
    assert history(house)[-1][1:] == (history(house)[0][2], "expired", 100)


def test_a_reservation_keeps_what_it_took_though_the_grant_expires(house: House, clock: Clock) -> None:
    """What is left of it goes back to the grant, and from there to where expired money goes."""
    expires_at = house.grant(100, id="old").expires_at
    assert expires_at is not None

    async def scene(ledger: Ledger) -> None:
        swept = await ledger.reserve(house.order(prompt=10, wanted=20, lease_seconds=10**9))
        unswept = await ledger.reserve(house.order(prompt=10, wanted=20, lease_seconds=10**9))
        clock.at = expires_at + 1
        assert (await ledger.settle(unswept.id, used(10, 15), "stop")).cost == 25
        assert await ledger.sweep() == 1
        assert (await ledger.settle(swept.id, used(10, 5), "stop")).cost == 15
        money = await ledger.credits(house.account)
        assert (money.balance, money.reserved) == (0, 0)

    play(house, scene)
    assert history(house)[-3:] == [
        ("settle", "reserved", "revenue", 15),
        ("release", "reserved", "grant:old", 15),
        ("expire", "grant:old", "expired", 15),
    ]
    assert ("expire", "grant:old", "expired", 45) in history(house)


def test_a_drift_blocks_the_expiry_and_nothing_else(sqlite_url: str, clock: Clock) -> None:
    house = House(sqlite_url, clock)
    house.set_price()
    house.grant(100, id="drifted", days=1)
    house.grant(100, id="sound", days=1)
    with writing(house.engine) as connection:
        connection.exec_driver_sql("UPDATE grants SET remaining = 99 WHERE id = 'drifted'")
        connection.exec_driver_sql("UPDATE accounts SET balance = balance - 1")

    async def scene(ledger: Ledger) -> None:
        await ledger.settle((await ledger.reserve(house.order())).id, used(), "stop")
        clock.at += 86401
        assert await ledger.sweep() == 1
        assert ledger.drifted == ("drifted",)

    play(house, scene)
    house.close()


def test_the_same_id_grants_once(house: House) -> None:
    first = house.grant(100, id="evt_1", kind="purchase")
    assert house.grant(100, id="evt_1", kind="purchase") == first
    with pytest.raises(RequestError) as refusal:
        house.grant(101, id="evt_1")
    assert refusal.value.status == 409
    assert len(history(house)) == 1


def test_adjustments_are_entries_with_a_reason_and_an_actor(house: House, clock: Clock) -> None:
    house.grant(100)

    def adjusted(amount: int, name: str, reason: str = "a mistake", actor: str = "ann") -> int:
        with writing(house.engine) as connection:
            return adjust(connection, house.account, amount, id=name, reason=reason, actor=actor, now=clock())

    assert adjusted(50, "more") == 150
    assert adjusted(50, "more") == 150
    assert adjusted(-120, "less") == 30
    assert adjusted(-120, "less") == 30
    with pytest.raises(InsufficientCredits):
        adjusted(-31, "too much")
    with pytest.raises(RequestError):
        adjusted(-1, "less")
    for reason, actor in (("", "ann"), ("why", "")):
        with pytest.raises(BadRequest):
            adjusted(1, "nameless", reason, actor)
    assert [kind for kind, *_ in history(house)] == ["grant", "adjust", "adjust", "adjust"]


def test_a_fee_is_charged_whole_and_once(house: House, clock: Clock) -> None:
    house.grant(100)

    def fee(amount: int, name: str) -> int:
        with writing(house.engine) as connection:
            return charge(connection, house.account, amount, id=name, reason="fee:month", now=clock())

    assert fee(60, "2027-01") == 40
    assert fee(60, "2027-01") == 40
    with pytest.raises(InsufficientCredits):
        fee(60, "2027-02")

    async def scene(ledger: Ledger) -> None:
        rows = await ledger.usage(house.account, 0, 86400 * 30000, "model")
        assert [(row.group, row.requests, row.cost) for row in rows] == [("fee:month", 1, 60)]

    play(house, scene)


def test_a_correction_gives_back_to_the_grants_that_paid(house: House, clock: Clock) -> None:
    house.grant(10, id="small", days=10)
    house.grant(100, id="large")

    async def scene(ledger: Ledger) -> int:
        held = await ledger.reserve(house.order(prompt=10, wanted=40))
        await ledger.settle(held.id, used(10, 20), "stop")
        return held.id

    number = play(house, scene)

    def corrected(amount: int, name: str) -> int:
        with writing(house.engine) as connection:
            return correct(connection, number, amount, id=name, reason="the price was wrong", actor="ann", now=clock())

    assert corrected(5, "c1") == 85
    assert corrected(5, "c1") == 85
    clock.at += 11 * 86400
    assert corrected(20, "c2") == 105  # 15 to `large`, 5 of `small` anew
    with pytest.raises(BadRequest):
        corrected(6, "c3")
    assert corrected(5, "c4") == 110
    with pytest.raises(BadRequest):
        corrected(1, "c5")

    async def costs(ledger: Ledger) -> int:
        [row] = await ledger.usage(house.account, 0, 86400 * 30000, "model")
        return row.cost

    assert play(house, costs) == 0
    with house.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT cost FROM usage").scalar_one() == 30  # the record stays


def test_a_gift_must_be_a_sum_that_money_can_be(sqlite_url: str) -> None:
    house = House(sqlite_url)
    with pytest.raises(BadRequest), writing(house.engine) as connection:
        give(connection, Gift(account=house.account, amount=2**63))
    house.close()
