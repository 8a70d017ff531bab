# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: ASYNC110 - what other processes do is no event of this loop
"""Money under fire: processes that are killed, more orders than the balance affords, a database that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator

import pytest
from ledger_house import House, used
from ledger_process import LEASE, LedgerProcesses
from postgres_server import PostgresServer

from llama_orch.ledger.check import check
from llama_orch.ledger.errors import LedgerAway
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import Reservation

KILLS = int(os.environ.get("ORCH_TEST_LEDGER_KILLS", "50"))
"""On each of the two databases."""


@pytest.fixture
def processes(ledger_url: str) -> Iterator[tuple[House, LedgerProcesses]]:
    house = House(ledger_url)
    house.set_price()
    program = LedgerProcesses(ledger_url, house.account, house.key)
    yield house, program
    with contextlib.suppress(ValueError):
        program.end()
    house.close()


def test_kill_9_loses_no_charge_and_leaves_no_reservation(processes: tuple[House, LedgerProcesses]) -> None:
    """Two processes at a time, one of which is killed at a random moment, again and again."""
    house, program = processes
    house.grant(10**9)
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    living = [program.start("serve")]
    for _ in range(KILLS):
        living.append(program.start("serve"))
        time.sleep(dice.uniform(0.001, 0.2))  # the moment of death is the test's subject
        os.kill(living.pop(dice.randrange(2)), signal.SIGKILL)
    for pid in living:
        os.kill(pid, signal.SIGKILL)
    program.end()
    asyncio.run(_sweep_until_nothing_is_reserved(house))
    assert check(house.url) == []
    assert len(program.charges) > KILLS
    with house.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT reservation, cost FROM usage WHERE ending = 'settled'")
        kept = {row[0]: row[1] for row in rows}
    lost = {number: cost for number, cost in program.charges.items() if kept.get(number) != cost}
    assert lost == {}


async def _sweep_until_nothing_is_reserved(house: House) -> None:
    ledger = await Ledger.open(house.url)
    deadline = time.monotonic() + 20 + LEASE
    while (await ledger.credits(house.account)).reserved and time.monotonic() < deadline:
        await ledger.sweep()
        await asyncio.sleep(0.05)
    assert (await ledger.credits(house.account)).reserved == 0
    assert (await ledger.key_state(house.key)).running == 0
    await ledger.close()


def test_a_thousand_orders_of_three_processes_on_a_balance_for_a_hundred(
    processes: tuple[House, LedgerProcesses],
) -> None:
    house, program = processes
    house.grant(100 * 50 + 49)
    for _ in range(3):
        program.start("storm 1000")
    admitted = [int(program.line("admitted")[0]) for _ in range(3)]
    program.end()
    assert sum(admitted) == 100
    with house.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT balance, reserved FROM accounts").one() == (49, 5000)
    assert check(house.url) == []


def test_many_accounts_from_many_processes_do_not_deadlock(processes: tuple[House, LedgerProcesses]) -> None:
    house, program = processes
    house.grant(10**6)
    names = [f"other{number}" for number in range(12)]
    for name in names:
        house.add_account(name)
        house.add_key(f"key of {name}", name)
        house.grant(10**6, account=name)
    pid = program.start("serve")

    async def play() -> None:
        ledgers = [await Ledger.open(house.url) for _ in range(2)]

        async def request(number: int) -> None:
            name = names[number % len(names)]
            mine, other = ledgers[number % 2], ledgers[1 - number % 2]
            held = await mine.reserve(house.order(account=name, key=f"key of {name}"))
            await asyncio.gather(mine.renew({held.id: used(10, 1)}, 30), other.settle(held.id, used(10, 2), "stop"))

        await asyncio.gather(*[request(number) for number in range(600)])
        for ledger in ledgers:
            await ledger.close()

    asyncio.run(play())
    os.kill(pid, signal.SIGKILL)
    program.end()
    asyncio.run(_sweep_until_nothing_is_reserved(house))
    assert check(house.url) == []


def test_the_caller_who_goes_away_holds_no_money(ledger_url: str) -> None:
    house = House(ledger_url)
    house.set_price()
    house.grant(1000)

    async def play() -> None:
        ledger = await Ledger.open(ledger_url)
        tasks = [asyncio.create_task(ledger.reserve(house.order())) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for held in results:
            if isinstance(held, Reservation):
                await ledger.settle(held.id, used(), "stop")
        deadline = time.monotonic() + 10
        while (await ledger.credits(house.account)).reserved and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        assert (await ledger.credits(house.account)).reserved == 0
        await ledger.close()

    asyncio.run(play())
    assert check(ledger_url) == []
    house.close()


async def _is_away(ledger: Ledger, house: House, held: Reservation) -> None:
    """Every call says so within two seconds, all at once."""
    calls = {
        "reserve": ledger.reserve(house.order()),
        "settle": ledger.settle(held.id, used(10, 4), "stop"),
        "release": ledger.release(held.id, "why"),
        "renew": ledger.renew({held.id: used(10, 1)}, 60),
    }
    began = time.monotonic()
    results = await asyncio.gather(*calls.values(), return_exceptions=True)
    assert time.monotonic() - began < 2
    assert [type(result) for result in results] == [LedgerAway] * len(calls)


async def _is_back(ledger: Ledger, house: House) -> Reservation:
    """As soon as the database is, without a new `open`."""
    deadline = time.monotonic() + 15
    while True:
        try:
            return await ledger.reserve(house.order())
        except LedgerAway:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_postgres_goes_away_and_comes_back(postgres_server: PostgresServer, postgres_url: str, how: str) -> None:
    house = House(postgres_url)
    house.set_price()
    house.grant(1000)

    async def play() -> None:
        ledger = await Ledger.open(postgres_url)
        held = await ledger.reserve(house.order())
        (postgres_server.stop if how == "stopped" else postgres_server.freeze)()
        try:
            await _is_away(ledger, house, held)
            began = time.monotonic()
            with pytest.raises(LedgerAway):
                await ledger.key(house.key)
            with pytest.raises(LedgerAway):
                await ledger.credits(house.account)
            assert time.monotonic() - began < 4
        finally:
            (postgres_server.start if how == "stopped" else postgres_server.thaw)()
        again = await _is_back(ledger, house)
        assert await ledger.key(house.key) is not None
        assert (await ledger.settle(again.id, used(10, 4), "stop")).cost == 14
        assert (await ledger.settle(held.id, used(10, 4), "stop")).cost in {14, 0}  # or the release went first
        deadline = time.monotonic() + 10
        while (await ledger.credits(house.account)).reserved and time.monotonic() < deadline:
            await asyncio.sleep(0.05)  # what was admitted while nobody listened any more goes back by itself
        assert (await ledger.credits(house.account)).reserved == 0
        await ledger.close()

    asyncio.run(play())
    house.engine.dispose()
    assert check(postgres_url) == []
    house.close()


def test_a_file_that_somebody_locks_and_lets_go(sqlite_url: str) -> None:
    house = House(sqlite_url)
    house.set_price()
    house.grant(1000)

    async def play() -> None:
        ledger = await Ledger.open(sqlite_url)
        held = await ledger.reserve(house.order())
        other = sqlite3.connect(sqlite_url, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await _is_away(ledger, house, held)
        assert await ledger.key(house.key) is not None  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        again = await _is_back(ledger, house)
        await ledger.settle(again.id, used(10, 4), "stop")
        await ledger.settle(held.id, used(10, 4), "stop")
        deadline = time.monotonic() + 10
        while (await ledger.credits(house.account)).reserved and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        await ledger.close()

    asyncio.run(play())
    assert check(sqlite_url) == []
    house.close()


def test_a_write_that_the_database_forbids_spoils_only_itself(sqlite_url: str) -> None:
    """One account's kept balance is wrong: its charges fail loudly, its neighbours in the same batch do not notice."""
    house = House(sqlite_url)
    house.set_price()
    house.grant(1000)
    house.add_account("neighbour")
    house.add_key("neighbour's key", "neighbour")
    house.grant(1000, account="neighbour")
    with house.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("UPDATE accounts SET balance = 5 WHERE id <> 'neighbour'")

    async def play() -> list[object]:
        ledger = await Ledger.open(sqlite_url)
        neighbours = house.order(account="neighbour", key="neighbour's key")
        orders = [neighbours, house.order(), neighbours]
        results = await asyncio.gather(*[ledger.reserve(order) for order in orders], return_exceptions=True)
        await ledger.close()
        return [getattr(result, "code", result) for result in results]

    first, spoiled, last = asyncio.run(play())
    assert isinstance(first, Reservation)
    assert spoiled == "ledger_damaged"
    assert isinstance(last, Reservation)
    house.close()


def test_balance_never_below_zero_at_any_instant(processes: tuple[House, LedgerProcesses]) -> None:
    """Watched from outside while two processes spend what comes in small grants."""
    house, program = processes
    pids = [program.start("serve") for _ in range(2)]
    lowest, grants = 0, 0
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        house.grant(120)
        grants += 1
        with house.engine.connect() as connection:
            lowest = min(lowest, connection.exec_driver_sql("SELECT MIN(balance) FROM accounts").scalar_one())
            left = connection.exec_driver_sql("SELECT MIN(remaining) FROM grants").scalar_one()
            lowest = min(lowest, left)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    program.end()
    assert lowest == 0
    asyncio.run(_sweep_until_nothing_is_reserved(house))
    assert check(house.url) == []
    with house.engine.connect() as connection:
        balance = connection.exec_driver_sql("SELECT balance FROM accounts").scalar_one()
        spent = connection.exec_driver_sql("SELECT COALESCE(SUM(cost), 0) FROM usage").scalar_one()
    assert balance == grants * 120 - spent
