# SPDX-License-Identifier: GPL-3.0-or-later
"""Reserve + settle pairs a second, and the CPU of one, on SQLite (synchronous=FULL) and on PostgreSQL (fsync on).

python benchmarks/ledger                          both databases, 64 at once, from an empty journal
python benchmarks/ledger --entries 10000000       first fills the journal to so many entries
python benchmarks/ledger --grow                   the same figure at 10 thousand, 100 thousand, … 10 million
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

from ledger_house import EURO, House
from postgres_server import PostgresServer

from llama_orch.ledger.database import writing
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import Usage
from llama_orch.ledger.revision import migrate

ACCOUNTS = 200
GROWTH = (10_000, 100_000, 1_000_000, 10_000_000)

# A past of whole requests, three entries each, spread over the accounts.
_PAST = (
    """
    INSERT INTO usage
    SELECT n, 'r' || n, {account}, 'key ' || {account}, 'demo', {price}, 'generate', 'settled', 'stop',
        1700000000 + n * 0.5, 1700000001 + n * 0.5, 150, 100, 80, 0, 20, 0, 0, 0 FROM {numbers}
    """,
    """
    INSERT INTO journal (at, kind, account, source, target, amount, reservation, price)
    SELECT 1700000000 + n * 0.5, k.kind, {account}, REPLACE(k.source, 'G', 'past ' || {account}),
        REPLACE(k.target, 'G', 'past ' || {account}), k.amount, n, {price}
    FROM {numbers} CROSS JOIN (
        SELECT 1 AS o, 'reserve' AS kind, 'grant:G' AS source, 'reserved' AS target, 150 AS amount
        UNION ALL SELECT 2, 'settle', 'reserved', 'revenue', 100
        UNION ALL SELECT 3, 'release', 'reserved', 'grant:G', 50) k ORDER BY n, o
    """,
)


def fill(house: House, entries: int, price: int) -> None:
    """Whole requests, until the journal has so many entries."""
    postgres = house.engine.dialect.name == "postgresql"
    with house.engine.connect() as connection:
        first = connection.exec_driver_sql("SELECT COALESCE(MAX(reservation), 0) FROM usage").scalar_one() + 1
        there = connection.exec_driver_sql("SELECT COUNT(*) FROM journal").scalar_one()
    last = first + max(0, entries - there) // 3
    for start in range(first, last, 250_000):
        end = min(start + 250_000, last)
        counted = f"WITH RECURSIVE s(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {end})"
        numbers = f"generate_series({start}, {end - 1}) AS s(n)" if postgres else f"({counted} SELECT n FROM s)"
        words = {"numbers": numbers, "account": f"'a' || (n % {ACCOUNTS})", "price": price}
        with writing(house.engine) as connection:
            for statement in _PAST:
                connection.exec_driver_sql(statement.format_map(words).replace("%", "%%" if postgres else "%"))
    with writing(house.engine) as connection:
        if postgres:
            connection.exec_driver_sql(f"SELECT setval('reservations_id_seq', {last})")
            connection.exec_driver_sql("ANALYZE")
        else:
            connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = 'reservations'")
            connection.exec_driver_sql(f"INSERT INTO sqlite_sequence VALUES ('reservations', {last})")
    with house.engine.connect() as connection:  # what was filled must not reach the disk while we measure
        command = "CHECKPOINT" if postgres else "PRAGMA wal_checkpoint(TRUNCATE)"
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(command)


async def measure(house: House, pairs: int, concurrent: int) -> dict[str, float]:
    """Pairs a second, the CPU of one in this process, and the slowest of a hundred."""
    ledger = await Ledger.open(house.url)
    times: list[float] = []

    async def one(worker: int) -> None:
        for number in range(pairs // concurrent):
            name = f"a{(worker * 31 + number * 7) % ACCOUNTS}"
            began = time.perf_counter()
            held = await ledger.reserve(house.order(80, 70, account=name, key=f"key {name}"))
            await ledger.settle(held.id, Usage(80, 0, 20), "stop")
            times.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[one(worker) for worker in range(concurrent)])
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    await ledger.close()
    times.sort()
    return {
        "pairs_per_second": round(len(times) / seconds),
        "cpu_us_per_pair": round(cpu / len(times) * 1e6, 1),
        "p50_ms": round(times[len(times) // 2] * 1e3, 2),
        "p99_ms": round(times[len(times) * 99 // 100] * 1e3, 2),
    }


@contextlib.contextmanager
def databases(which: str) -> Iterator[str]:
    """The address of a fresh one."""
    folder = Path(tempfile.mkdtemp(prefix="orch-bench-ledger-", dir="/tmp"))
    server = None
    try:
        if which == "sqlite":
            yield str(folder / "ledger.db")
        else:
            server = PostgresServer(folder, durable=True)
            yield server.url(server.create())
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def prepared(url: str, entries: int) -> House:
    """A ledger with accounts that can pay, and so many entries of a past."""
    migrate(url)
    house = House(url)
    price = house.set_price()
    for number in range(ACCOUNTS):
        house.add_account(f"a{number}")
        house.add_key(f"key a{number}", f"a{number}")
        house.grant(10**9 * EURO, account=f"a{number}", id=f"now a{number}")
    fill(house, entries, price)
    return house


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--concurrent", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--entries", type=int, action="append", help="of the journal; several are measured in turn")
    parser.add_argument("--grow", action="store_true", help="10 thousand, 100 thousand, 1 million, 10 million")
    options = parser.parse_args()
    sizes = GROWTH if options.grow else tuple(options.entries or [0])
    for which in options.database or ["sqlite", "postgresql"]:
        with contextlib.ExitStack() as stack:
            houses = {size: prepared(stack.enter_context(databases(which)), size) for size in sizes}
            figures: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
            for turn in range(options.rounds + 1):
                for size, house in houses.items():
                    measured = asyncio.run(measure(house, options.pairs, options.concurrent))
                    if turn:  # the first one warms up
                        figures[size].append(measured)
            for size, some in figures.items():
                medians = {name: statistics.median(one[name] for one in some) for name in some[0]}
                told = {"database": which, "concurrent": options.concurrent, "entries": size, **medians}
                print(json.dumps(told), flush=True)
                houses[size].close()


if __name__ == "__main__":
    main()
