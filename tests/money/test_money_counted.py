# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engines counted against what was charged: never a finding that is none, and always the one that is."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from gateway_process import until
from processes import workers_of
from tap_house import House, Tenant, cost
from test_money_fire import CHAT, Load

from llama_orch.ledger.check import check

SPENT = ("day_spent", "month_spent", "total_spent")
KILLS = int(os.environ.get("ORCH_TEST_KILLS", "6"))


class Auditor(threading.Thread):
    """Runs `check` again and again beside the traffic."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url, self._over = url, threading.Event()
        self.findings: list[Any] = []
        self.looks = 0

    def run(self) -> None:
        while not self._over.is_set():
            self.findings += check(self._url)
            self.looks += 1
            self._over.wait(0.2)

    def end(self) -> None:
        self._over.set()
        self.join()


def counted(house: House) -> list[dict[str, Any]]:
    """What the engines' own lists said, as far as it was fetched."""
    with house.book.reading() as connection:
        found = connection.exec_driver_sql("SELECT * FROM engine_requests ORDER BY worker, number")
        return [dict(row) for row in found.mappings()]


def compared(house: House) -> int:
    """How many requests both sides speak of."""
    with house.book.reading() as connection:
        sql = (
            "SELECT COUNT(*) FROM engine_requests e JOIN usage u ON u.reservation = e.reservation"
            " WHERE u.ending = 'settled' AND u.partial = 0"
        )
        return int(connection.exec_driver_sql(sql).scalar_one())


def test_no_kill_makes_a_finding_that_is_none(
    ledger_url: str, open_house: Callable[..., House], record_property: Callable[[str, object], None]
) -> None:
    """Whole answers, streams, cuts; workers and gateways killed with signal 9; `check` in a loop beside it."""
    seed = random.randrange(2**32)
    record_property("seed", seed)
    print("seed", seed)
    chance = random.Random(seed)
    house = open_house(ledger_url, processes=2, limits={"lease_seconds": 2.0})
    tenant = house.tenant("counted", 10**9)
    auditor, load = Auditor(ledger_url), Load(tenant, seed)
    auditor.start()
    load.start()
    try:
        for _ in range(KILLS):
            until(lambda: compared(house) > 0 and tenant.row()[1], "requests run")
            time.sleep(chance.random())
            victims = chance.choice((lambda: workers_of(house.folder), lambda: house.processes))()
            if victims:
                os.kill(chance.choice(victims), signal.SIGKILL)
            before = len(load.answers)
            until(lambda: len(load.answers) > before + 6, "it serves again", seconds=120)  # noqa: B023 - at once
    finally:
        load.end()
        auditor.end()
    until(lambda: tenant.row()[1] == 0, "all leases have ended", seconds=60)
    house.gateway.end(signal.SIGTERM)
    assert auditor.looks > KILLS
    assert auditor.findings == []
    assert house.check() == []
    assert len({row["worker"] for row in counted(house)}) >= 1
    assert compared(house) > 20


def chatted(tenant: Tenant, count: int) -> None:
    for _ in range(count):
        assert tenant.call("POST", "/v1/chat/completions", CHAT | {"max_tokens": 24}).status == 200


def test_a_consistent_lie_about_what_was_used_is_found(sqlite_url: str, open_house: Callable[..., House]) -> None:
    """Somebody with the file in hand makes a request cheaper, in every table of the books."""
    house = open_house(sqlite_url)
    tenant = house.tenant("cheap")
    chatted(tenant, 3)
    until(lambda: compared(house) == 3, "the engine's counts are fetched")
    house.gateway.end(signal.SIGTERM)
    assert house.check() == []
    row = tenant.usages()[1]
    assert row["output_tokens"] == 24
    less = cost(row["prompt_tokens"], row["cached_tokens"], 4)
    back = row["cost"] - less
    assert back > 0
    one, account = f"reservation = {row['reservation']}", f"account = '{tenant.account}'"
    lies = (
        f"UPDATE usage SET output_tokens = 4, cost = {less} WHERE {one}",
        f"UPDATE journal SET amount = {less} WHERE kind = 'settle' AND {one}",
        f"UPDATE journal SET amount = amount + {back} WHERE kind = 'release' AND {one}",
        f"UPDATE usage_days SET output_tokens = output_tokens - 20, cost = cost - {back} WHERE {account}",
        f"UPDATE key_states SET {', '.join(f'{name} = {name} - {back}' for name in SPENT)} WHERE {account}",
        f"UPDATE grants SET remaining = remaining + {back} WHERE {account}",
        f"UPDATE accounts SET balance = balance + {back} WHERE id = '{tenant.account}'",
    )
    with house.book.writing() as connection:
        guards = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
        for name, _ in guards:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for lie in lies:
            assert connection.exec_driver_sql(lie).rowcount == 1, lie
        for _, guard in guards:
            connection.exec_driver_sql(guard)
    found = house.check()
    assert [(each.rule, each.subject) for each in found] == [("engine_tokens", str(row["reservation"]))]
    prompt = row["prompt_tokens"]
    assert (found[0].found, found[0].expected) == (f"{prompt} 4", f"{prompt} 24")


@pytest.mark.parametrize("stream", [True, False])
def test_a_cancelled_answer_is_compared_too(house: House, stream: bool) -> None:
    """A cut is charged by the engine's count, so the two agree to the token."""
    from test_money_cuts import ENDLESS, drop, ended, open_stream

    tenant = house.tenant(f"cut-{stream}")
    connection = open_stream(tenant, max_tokens=2000, **ENDLESS | {"stream": stream})
    until(lambda: house.gateway.worker_health()["active"] == 1, "it runs")
    drop(connection)
    [row] = ended(tenant, 1)
    assert row["ending"] == "settled"

    def mine() -> list[dict[str, Any]]:
        return [one for one in counted(house) if one["reservation"] == row["reservation"]]

    [engine] = until(mine, "it is fetched")
    assert (engine["outcome"], engine["prompt_tokens"], engine["output_tokens"]) == (
        "cancelled",
        row["prompt_tokens"],
        row["output_tokens"],
    )
    assert house.check() == []
