# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client can put into its fields: nothing of it reaches a neighbour, the schema, or somebody else's money."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ledger_house import Clock, House, used

from llama_orch.ledger.check import check
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import Charge, Reservation
from llama_orch_utils.errors import OrchError

WORDS = (
    "",
    "\0",
    "a\0b",
    "\ud800",
    "x" * 10_000,
    "' OR '1'='1",
    "'); DROP TABLE journal; --",
    '["a"]',
    "{}",
    "%s",
    "%(name)s",
    "?",
    ":name",
    "{ids}",
    "grant:x",
    "*",
    "\u202e",
    "\\",
)


def test_words(house: House) -> None:
    house.grant(10_000)

    async def scene() -> None:
        ledger = await Ledger.open(house.url, clock=house.clock)
        for word in WORDS:
            orders = [house.order()]
            orders += [house.order(**{name: word}) for name in ("account", "key", "model", "request_id")]
            orders += [house.order(idempotency=(word, b"\0")), house.order(scope=word), house.order()]
            results = await asyncio.gather(*[ledger.reserve(order) for order in orders], return_exceptions=True)
            assert isinstance(results[0], Reservation)
            assert isinstance(results[-1], Reservation)
            assert all(isinstance(result, Reservation | OrchError) for result in results), (word, results)
            assert {getattr(result, "status", 200) for result in results} <= {200, 400, 401, 404}, word
            for held in results:
                if isinstance(held, Reservation):
                    await ledger.settle(held.id, used(10, 1), word)
            assert await ledger.key(word) is None
            assert await ledger.answer(house.account, word) is None
            assert await ledger.answer(word, "x") is None
            for call in (ledger.credits(word), ledger.key_state(word)):
                with pytest.raises(OrchError) as refusal:
                    await call
                assert refusal.value.status == 400
        await ledger.close()

    asyncio.run(scene())


def test_numbers(house: House) -> None:
    house.grant(10_000)
    numbers = (-1, -(2**63), 2**31, 2**63, 10**30)

    async def scene() -> None:
        ledger = await Ledger.open(house.url, clock=house.clock)
        for number in numbers:
            orders: list[Any] = [house.order(), house.order(prompt=number), house.order(wanted=number), house.order()]
            results = await asyncio.gather(*[ledger.reserve(order) for order in orders], return_exceptions=True)
            assert [getattr(result, "status", 200) for result in results] == [200, 400, 400, 200]
            charges = await asyncio.gather(
                ledger.settle(results[0].id, used(number, number, number), "stop"),  # type: ignore[union-attr]
                ledger.settle(results[-1].id, used(10, 2), "stop"),  # type: ignore[union-attr]
            )
            assert all(isinstance(charge, Charge) for charge in charges)
            assert charges[0].cost in {0, 20}
            assert charges[1].cost == 12
            with pytest.raises(OrchError):
                await ledger.settle(number, used(), "stop")
            await ledger.renew({number: used()}, 30)
        await ledger.close()

    asyncio.run(scene())


def test_one_account_cannot_end_anothers_request_by_accident(house: House) -> None:
    """Reservation numbers are not secret; that a caller settles only his own is the gateway's rule, and a number that
    was never given away is refused."""
    house.grant(1000)

    async def scene() -> None:
        ledger = await Ledger.open(house.url, clock=house.clock)
        held = await ledger.reserve(house.order())
        with pytest.raises(OrchError):
            await ledger.settle(held.id + 1, used(), "stop")
        await ledger.release(held.id, "why")
        await ledger.close()

    asyncio.run(scene())


def test_a_secret_is_in_no_column(sqlite_url: str) -> None:
    """The ledger knows a key's digest, never its secret."""
    house = House(sqlite_url, Clock(), key="key_canary")
    house.set_price()
    house.grant(1000)

    async def scene() -> None:
        ledger = await Ledger.open(house.url, clock=house.clock)
        held = await ledger.reserve(house.order(idempotency=("idem", b"digest")))
        await ledger.settle(held.id, used(), "stop")
        await ledger.close()

    asyncio.run(scene())
    with house.engine.connect() as connection:
        names = {row[0] for row in connection.exec_driver_sql("SELECT name FROM pragma_table_info('keys')")}
    assert "secret" not in names
    assert check(sqlite_url) == []
    house.close()
