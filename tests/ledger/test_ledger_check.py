# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing can be changed behind the ledger's back; and where somebody with the file did, `check` finds each one."""

from __future__ import annotations

import asyncio

import pytest
from ledger_house import Clock, House, used
from sqlalchemy.exc import DBAPIError

from llama_orch.ledger.check import check
from llama_orch.ledger.database import writing
from llama_orch.ledger.granting import charge, correct
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import EngineCount

FORBIDDEN = (
    "UPDATE journal SET amount = amount + 1",
    "DELETE FROM journal",
    "UPDATE usage SET cost = 0",
    "DELETE FROM usage",
    "UPDATE prices SET output = 0",
    "DELETE FROM prices",
    "DELETE FROM accounts",
    "UPDATE accounts SET id = 'x' || id",
    "DELETE FROM grants",
    "UPDATE grants SET amount = amount + 1",
    "UPDATE grants SET expires_at = NULL",
    "UPDATE grants SET remaining = -1",
    "UPDATE grants SET remaining = amount + 1",
    "UPDATE accounts SET balance = -1",
    "UPDATE accounts SET reserved = -1",
    "UPDATE key_states SET running = -1",
    "INSERT INTO journal (at, kind, account, source, target, amount) VALUES (1, 'grant', 'a', 'x', 'y', -5)",
    "INSERT INTO journal (at, kind, account, source, target, amount) VALUES (1, 'gift', 'a', 'x', 'y', 5)",
    "INSERT INTO journal (at, kind, account, source, target, amount) VALUES (1, 'grant', 'a', 'x', 'x', 5)",
)

# Each with the rule that must speak; other rules may speak as well.
CORRUPTIONS = {
    "UPDATE journal SET amount = amount + 1 WHERE kind = 'grant'": "grant_amount",
    "UPDATE journal SET amount = amount + 1 WHERE kind = 'settle'": "charge_journal",
    "UPDATE journal SET amount = amount - 1 WHERE kind = 'reserve'": "usage_reserved",
    "UPDATE journal SET amount = amount + 1 WHERE kind = 'release'": "reservation_lost",
    "DELETE FROM journal WHERE kind = 'grant'": "grant_balance",
    "DELETE FROM journal WHERE kind = 'settle'": "charge_journal",
    "DELETE FROM journal WHERE kind = 'release'": "reservation_lost",
    "DELETE FROM journal WHERE kind = 'expire'": "grant_balance",
    "DELETE FROM journal WHERE kind = 'adjust'": "days_cost",
    "DELETE FROM journal WHERE reservation IN (SELECT reservation FROM usage WHERE cost = 0)": "usage_reserved",
    "INSERT INTO journal (at, kind, account, source, target, amount, reservation) SELECT at, kind, account, source,"
    " target, amount, reservation FROM journal WHERE kind = 'settle'": "settled_twice",
    "INSERT INTO journal (at, kind, account, source, target, amount) SELECT 1, 'grant', id, 'clearing', 'grant:fake', 5"
    " FROM accounts": "book_without_grant",
    "INSERT INTO journal (at, kind, account, source, target, amount) VALUES (1, 'grant', 'nobody', 'clearing',"
    " 'grant:g', 5)": "stranger",
    "UPDATE journal SET kind = 'adjust' WHERE kind = 'settle'": "transfer",
    "UPDATE journal SET source = 'revenue' WHERE kind = 'grant'": "transfer",
    "UPDATE journal SET account = 'second' WHERE kind = 'settle'": "request_account",
    "UPDATE journal SET reservation = reservation + 1 WHERE kind = 'settle'": "charge_journal",
    "UPDATE journal SET price = price + 1 WHERE kind = 'settle'": "price_journal",
    "UPDATE grants SET remaining = remaining + 1 WHERE id = 'g'": "grant_balance",
    "UPDATE grants SET remaining = remaining - 1 WHERE id = 'g'": "account_balance",
    "UPDATE grants SET amount = amount + 1 WHERE id = 'g'": "grant_amount",
    "UPDATE grants SET remaining = 3 WHERE id = 'expired'": "grant_closed",
    "UPDATE grants SET account = 'second' WHERE id = 'g'": "book_without_grant",
    "DELETE FROM grants WHERE id = 'g'": "book_without_grant",
    "UPDATE accounts SET balance = balance + 1": "account_journal",
    "UPDATE accounts SET reserved = reserved + 1": "account_reserved",
    "UPDATE reservations SET amount = amount + 1": "reservation_journal",
    "DELETE FROM reservations": "reservation_lost",
    "UPDATE usage SET cost = cost - 1 WHERE cost > 0": "charge_price",
    "UPDATE usage SET output_tokens = output_tokens + 1 WHERE ending = 'settled'": "days_usage",
    "UPDATE usage SET ending = 'released' WHERE cost > 0": "charge_released",
    "UPDATE usage SET amount = amount + 1": "usage_reserved",
    "DELETE FROM usage WHERE cost > 0": "usage_missing",
    "UPDATE usage SET price = 99 WHERE kind = 'generate'": "price_unknown",
    "UPDATE prices SET output = output * 2": "charge_price",
    "DELETE FROM prices": "price_unknown",
    "UPDATE usage_days SET cost = cost + 1": "days_revenue",
    "UPDATE usage_days SET requests = requests + 3, prompt_tokens = prompt_tokens - 1": "days_usage",
    "DELETE FROM usage_days": "days_usage",
    "UPDATE key_states SET running = running + 1": "key_running",
    "UPDATE key_states SET total_spent = total_spent + 1": "key_spent",
    "UPDATE key_states SET day_spent = 0": "key_day",
    "UPDATE key_states SET month_spent = 0": "key_month",
    "DELETE FROM key_states": "key_running",
    "UPDATE engine_requests SET output_tokens = output_tokens + 1 WHERE number = 1": "engine_tokens",
    "UPDATE engine_requests SET prompt_tokens = prompt_tokens - 1 WHERE number = 1": "engine_tokens",
    "UPDATE engine_requests SET reservation = 9999": "engine_unknown",
    "UPDATE engine_requests SET request_id = 'another'": "engine_unknown",
}


@pytest.fixture
def busy(ledger_url: str) -> House:
    """A ledger in which everything has happened: charged, released, corrected, expired, a fee, one still open."""
    clock = Clock()
    house = House(ledger_url, clock)
    house.set_price()
    house.add_account("second")
    house.grant(1000, id="g")
    house.grant(7, id="expired", days=1, priority=9)

    async def play() -> None:
        ledger = await Ledger.open(house.url, clock=clock)
        held = await ledger.reserve(house.order(prompt=10, wanted=40))
        await ledger.settle(held.id, used(10, 30), "stop")
        await ledger.count_engine("w", [EngineCount(1, held.id, held.request_id, 10, 30, "stop")])
        await ledger.release((await ledger.reserve(house.order())).id, "the upstream failed")
        with writing(house.engine) as connection:
            charge(connection, house.account, 11, id="m1", reason="fee:month", now=clock())
            correct(connection, held.id, 5, id="c1", reason="wrong", actor="ann", now=clock())
        clock.at += 2 * 86400
        await ledger.settle((await ledger.reserve(house.order())).id, used(10, 3), "stop")
        await ledger.reserve(house.order(prompt=10, wanted=40, lease_seconds=10**9))
        assert await ledger.sweep() == 1
        await ledger.close()

    asyncio.run(play())
    assert check(house.url) == []
    return house


def guardless(house: House, statement: str) -> None:
    """Executes `statement` as somebody with the database in hand would: the guards put aside, and back again."""
    with writing(house.engine) as connection:
        if house.engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql(statement)
            return
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
        for name, _ in rows:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql(statement)
        for _, sql in rows:
            connection.exec_driver_sql(sql)


def test_the_database_forbids_it(busy: House) -> None:
    for statement in FORBIDDEN:
        with pytest.raises(DBAPIError), busy.engine.connect() as connection, connection.begin():
            connection.exec_driver_sql(statement)
    if busy.engine.dialect.name == "postgresql":
        for table in ("journal", "usage", "prices", "grants CASCADE", "accounts CASCADE"):
            with pytest.raises(DBAPIError), busy.engine.connect() as connection, connection.begin():
                connection.exec_driver_sql(f"TRUNCATE {table}")
    else:
        with pytest.raises(DBAPIError), writing(busy.engine) as connection:
            connection.exec_driver_sql("INSERT OR REPLACE INTO journal SELECT * FROM journal")
    assert check(busy.url) == []
    busy.close()


def test_every_planted_corruption_is_found(busy: House) -> None:
    """One after the other, each undone before the next by a savepoint of the same connection."""
    missed = [f"{rule}: {sql}" for sql, rule in CORRUPTIONS.items() if rule not in _found_after(busy, sql)]
    assert missed == []
    assert check(busy.url) == []
    busy.close()


def _found_after(house: House, statement: str) -> set[str]:
    """The rules that speak after `statement`, in a transaction that is rolled back."""
    from llama_orch.ledger.check.check import _months, _ruled

    with house.engine.connect() as connection:
        transaction = connection.execution_options(ledger_writes=True).begin()
        if house.engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        else:
            rows = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all()
            for (name,) in rows:
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        assert connection.exec_driver_sql(statement).rowcount > 0, statement
        rules = {finding.rule for finding in [*_ruled(connection), *_months(connection)]}
        transaction.rollback()
    return rules


def test_a_corruption_is_told_with_its_numbers(busy: House) -> None:
    guardless(busy, "UPDATE accounts SET balance = balance + 1 WHERE id <> 'second'")
    findings = {finding.rule: finding for finding in check(busy.url)}
    assert set(findings) == {"account_balance", "account_journal"}
    wrong = findings["account_balance"]
    assert (wrong.subject, int(wrong.found)) == (busy.account, int(wrong.expected) + 1)
    busy.close()


def test_a_guard_that_was_taken_away_is_a_finding(busy: House) -> None:
    on = "" if busy.engine.dialect.name == "sqlite" else " ON journal"
    with busy.engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"DROP TRIGGER journal_no_deletes{on}")
        if on:
            connection.exec_driver_sql("ALTER TABLE prices DISABLE TRIGGER prices_no_updates")
            connection.exec_driver_sql("ALTER TABLE accounts DROP CONSTRAINT balance_not_negative")
    names = {finding.subject for finding in check(busy.url)}
    assert names == (
        {"journal_no_deletes", "prices_no_updates", "balance_not_negative"} if on else {"journal_no_deletes"}
    )
    busy.close()


def test_a_damaged_file_is_a_finding(sqlite_url: str) -> None:
    house = House(sqlite_url)
    house.grant(5)
    with house.engine.connect() as connection:
        page = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'grants'").scalar_one()
        size = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
    house.close()
    with open(sqlite_url, "r+b") as file:  # noqa: PTH123 - in place
        file.seek((page - 1) * size)
        file.write(bytes(size))
    assert "file" in {finding.rule for finding in check(sqlite_url)}


def test_a_live_ledger_checks_clean(ledger_url: str) -> None:
    """While requests come and go: every check sees one instant."""
    house = House(ledger_url)
    house.set_price()
    house.grant(10**6)

    async def play() -> list[int]:
        ledger = await Ledger.open(ledger_url)
        going = True

        async def serve() -> int:
            served = 0
            while going:
                held = await ledger.reserve(house.order())
                await ledger.settle(held.id, used(10, 3), "stop")
                served += 1
            return served

        tasks = [asyncio.create_task(serve()) for _ in range(8)]
        for _ in range(5):
            assert await asyncio.to_thread(check, ledger_url) == []
        going = False
        served = await asyncio.gather(*tasks)
        await ledger.close()
        return served

    assert min(asyncio.run(play())) > 0
    house.close()
