# SPDX-License-Identifier: GPL-3.0-or-later
"""What the writer keeps in memory between two batches never outlives what somebody else has written since."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from ledger_house import Clock, House, used

from llama_orch.ledger.ledger import Ledger
from llama_orch_utils.errors import InsufficientCredits, NotAuthorised


async def _pair(ledger: Ledger, house: House, tokens: int = 10) -> int:
    """The cost of one request."""
    held = await ledger.reserve(house.order(prompt=tokens, wanted=0))
    return (await ledger.settle(held.id, used(tokens, 0), "stop")).cost


def _play(house: House, scene: Callable[[Ledger, Ledger], Awaitable[None]]) -> None:
    """With two processes' ledgers, as far as the database can tell; the first one's batches are warm."""

    async def run() -> None:
        one, other = await Ledger.open(house.url, clock=house.clock), await Ledger.open(house.url, clock=house.clock)
        try:
            assert await _pair(one, house) == 10
            assert await _pair(one, house) == 10
            await scene(one, other)
        finally:
            await one.close()
            await other.close()

    asyncio.run(run())


def test_a_revoked_key_is_refused_by_the_very_next_batch(house: House, clock: Clock) -> None:
    house.grant(1000)

    async def scene(one: Ledger, _other: Ledger) -> None:
        house.change_key(revoked_at=clock.at)
        with pytest.raises(NotAuthorised):
            await one.reserve(house.order())

    _play(house, scene)


def test_another_process_and_its_money_are_seen(house: House) -> None:
    house.grant(100)

    async def scene(one: Ledger, other: Ledger) -> None:
        assert await _pair(other, house, 60) == 60
        with pytest.raises(InsufficientCredits):
            await one.reserve(house.order(prompt=30, wanted=0))
        house.grant(1000)
        held = await one.reserve(house.order(prompt=30, wanted=0))
        assert held.balance == 990
        assert (await other.settle(held.id, used(30, 0), "stop")).cost == 30
        assert (await one.settle(held.id, used(10, 0), "stop")).again
        for _ in range(20):
            assert await _pair(one, house) == await _pair(other, house) == 10
        assert (await one.credits(house.account)).balance == 1000 + 20 - 30 - 400

    _play(house, scene)


def test_a_price_begins_when_its_time_comes(house: House, clock: Clock) -> None:
    house.grant(1000)

    async def scene(one: Ledger, _other: Ledger) -> None:
        house.set_price(input=3_000_000, cached=3_000_000, output=3_000_000, starts_at=clock.at + 60)
        assert await _pair(one, house) == 10
        clock.at += 60
        assert await _pair(one, house) == 30
        clock.at -= 60
        assert await _pair(one, house) == 10

    _play(house, scene)


def test_a_batch_of_many_rows_is_written_whole(house: House) -> None:
    house.grant(100_000)

    async def scene(one: Ledger, _other: Ledger) -> None:
        for count in (1, 2, 3, 31, 32, 33, 67):
            assert await asyncio.gather(*[_pair(one, house) for _ in range(count)]) == [10] * count

    _play(house, scene)
