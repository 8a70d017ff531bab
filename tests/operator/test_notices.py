# SPDX-License-Identifier: GPL-3.0-or-later
"""Warnings: written down once per threshold and grant, sent signed until they are taken; and the month's fee."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe
from gateway_process import until
from operator_clock import DAY, Clock
from sqlalchemy import text

from llama_orch.ledger.books import accounts, grants, keys, notices, outbox, prices
from llama_orch.ledger.books.book import Book
from llama_orch.ledger.check import check
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import Order
from llama_orch.tap import notices as keeper
from llama_orch.tap.config.record import PrivateTerms, TapConfig, WarningRules
from llama_orch.tap.notices.delivery import SIGNATURE, deliver
from llama_orch.tap.notices.keeper import turn
from llama_orch_utils.errors import InsufficientCredits

EUR = 1_000_000
SECRET = "notice-canary-0123456789"
WATCH = notices.Watch((5 * EUR, EUR), (30, 7), "https://you.example/tap")


@dataclass
class Hearer:
    """The operator's own server: answers with the next of `answers`, then 204."""

    answers: list[int] = field(default_factory=list)
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def hearer() -> Iterator[Hearer]:
    found = Hearer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.heard.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.answers.pop(0) if found.answers else 204)
            self.send_header("location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}/tap"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()


def kinds(book: Book) -> list[str]:
    return [each.kind for each in reversed(outbox.listing(book))]


def spend(book: Book, amount: int) -> None:
    grants.adjust(book, "acme", -amount, reason="as if spent")


def test_each_threshold_once_per_grant(book: Book, clock: Clock) -> None:
    accounts.add(book, "acme")
    assert notices.scan(book, WATCH) == 0, "an account that never had credits is not out of them"
    grants.add(book, "acme", grants.Gift(amount=10 * EUR))
    assert notices.scan(book, WATCH) == 0
    spend(book, 5 * EUR)
    assert [notices.scan(book, WATCH), notices.scan(book, WATCH)] == [1, 0]
    spend(book, 4 * EUR)
    assert [notices.scan(book, WATCH), notices.scan(book, WATCH)] == [1, 0]
    spend(book, EUR)
    assert [notices.scan(book, WATCH), notices.scan(book, WATCH)] == [1, 0]
    assert kinds(book) == ["credits.low", "credits.low", "credits.exhausted"]
    low = json.loads(outbox.listing(book)[2].body)
    assert low["data"] | {"account": ""} == {"account": "", "name": "acme", "balance": 5 * EUR, "threshold": 5 * EUR}
    clock.later(seconds=1)
    grants.add(book, "acme", grants.Gift(amount=10 * EUR))
    assert notices.scan(book, WATCH) == 0
    spend(book, 10 * EUR)
    assert notices.scan(book, WATCH) == 1, "it fell through all of them at once: only the worst is told"
    assert kinds(book)[-1] == "credits.exhausted"


def test_a_grant_that_is_smaller_than_a_threshold_is_no_warning(book: Book) -> None:
    accounts.add(book, "acme")
    grants.add(book, "acme", grants.Gift(amount=2 * EUR))
    assert notices.scan(book, WATCH) == 0
    spend(book, EUR)
    assert notices.scan(book, WATCH) == 1


def test_an_accounts_own_thresholds_count_first(book: Book) -> None:
    accounts.add(book, "acme")
    grants.add(book, "acme", grants.Gift(amount=100 * EUR))
    with book.writing() as connection:
        connection.execute(text(f"UPDATE accounts SET warn_at = '[{50 * EUR}]'"))
    spend(book, 50 * EUR)
    assert notices.scan(book, WATCH) == 1
    spend(book, 46 * EUR)
    assert notices.scan(book, WATCH) == 0


def test_before_a_grant_expires(book: Book, clock: Clock) -> None:
    accounts.add(book, "acme")
    grants.add(book, "acme", grants.Gift(amount=EUR, days=60, id="g1"))
    grants.add(book, "acme", grants.Gift(amount=EUR, days=3, id="short"))
    assert [notices.scan(book, WATCH), notices.scan(book, WATCH)] == [1, 0], "seven days, and not thirty as well"
    clock.later(days=31)
    assert [notices.scan(book, WATCH), notices.scan(book, WATCH)] == [1, 0]
    clock.later(days=23)
    assert [notices.scan(book, WATCH), notices.scan(book, WATCH)] == [1, 0]
    clock.later(days=10)
    assert notices.scan(book, WATCH) == 0
    told = [json.loads(each.body)["data"]["grant"] for each in reversed(outbox.listing(book))]
    assert told == ["short", "g1", "g1"]


def test_it_is_sent_signed_and_tried_again(
    book: Book, clock: Clock, hearer: Hearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add(book, "acme")
    grants.add(book, "acme", grants.Gift(amount=10 * EUR))
    spend(book, 6 * EUR)
    notices.scan(book, replace(WATCH, url=hearer.url))
    assert deliver(book, "TAP_TEST_SECRET") == 0
    assert outbox.listing(book)[0].error == "TAP_TEST_SECRET is not set: nothing is sent unsigned"
    assert hearer.heard == []
    monkeypatch.setenv("TAP_TEST_SECRET", SECRET)
    hearer.answers = [500, 302]
    waits = []
    for _ in range(3):
        before = len(hearer.heard)
        waited = 0
        while len(hearer.heard) == before:
            clock.later(seconds=5)
            waited += 5
            deliver(book, "TAP_TEST_SECRET")
            assert waited < 10_000
        waits.append(waited)
    assert waits == sorted(waits), "later each time"
    headers, body = hearer.heard[-1]
    assert stripe.WebhookSignature.verify_header(body, headers[SIGNATURE], SECRET, 300), "in Stripe's form"
    assert json.loads(body)["type"] == "credits.low"
    (notice,) = outbox.listing(book)
    assert (notice.attempts, notice.error) == (4, "")
    assert notice.sent_at == clock()
    clock.later(days=3)
    assert deliver(book, "TAP_TEST_SECRET") == 0
    assert len(hearer.heard) == 3


def test_it_is_given_up_in_the_end(book: Book, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_TEST_SECRET", SECRET)
    with book.writing() as connection:
        outbox.put(connection, "x", None, "once", "http://127.0.0.1:9/", {}, clock())
        assert not outbox.put(connection, "x", None, "once", "http://127.0.0.1:9/", {}, clock())
    for _ in range(40):
        clock.later(seconds=6 * 3600)
        deliver(book, "TAP_TEST_SECRET")
    (notice,) = outbox.listing(book)
    assert (notice.attempts, notice.sent_at, notice.error) == (outbox.MOST_ATTEMPTS, None, "ConnectError")


def test_many_processes_send_it_once(url: str, clock: Clock, hearer: Hearer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_TEST_SECRET", SECRET)
    with Book.open(url, actor="test", clock=clock) as book:
        with book.writing() as connection:
            for number in range(10):
                outbox.put(connection, "x", None, f"n{number}", hearer.url, {"number": number}, clock())
        threads = [threading.Thread(target=deliver, args=(book, "TAP_TEST_SECRET")) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        told = sorted(json.loads(body)["data"]["number"] for _, body in hearer.heard)
        assert told == list(range(10))
        # One that died with a claim: another takes it a minute later.
        with book.writing() as connection:
            outbox.put(connection, "x", None, "orphan", hearer.url, {"number": 99}, clock())
        assert len(outbox.claim(book)) == 1
        assert outbox.claim(book) == []
        clock.later(seconds=61)
        assert deliver(book, "TAP_TEST_SECRET") == 1


def test_the_months_fee_once_a_month(book: Book, clock: Clock) -> None:
    account = accounts.add(book, "tenant").id
    grants.add(book, "tenant", grants.Gift(amount=1000 * EUR))
    assert [notices.month_fee(book, 400 * EUR, None), notices.month_fee(book, 400 * EUR, None)] == [1, 0]
    clock.later(days=31)
    assert notices.month_fee(book, 400 * EUR, None) == 1
    clock.later(days=31)
    assert notices.month_fee(book, 400 * EUR, "https://you.example") == 0, "200 are left"
    assert notices.month_fee(book, 400 * EUR, "https://you.example") == 0
    assert kinds(book) == ["fee.unpaid"]
    assert json.loads(outbox.listing(book)[0].body)["data"]["balance"] == 200 * EUR
    grants.add(book, "tenant", grants.Gift(amount=300 * EUR))
    assert notices.month_fee(book, 400 * EUR, None) == 1, "as soon as it is covered"
    assert accounts.show(book, account).balance == 100 * EUR


def owed(book: Book, account: str) -> tuple[float | None, float | None]:
    with book.reading() as connection:
        sql = f"SELECT fee_since, fee_stops_at FROM accounts WHERE id = '{account}'"
        return tuple(connection.exec_driver_sql(sql).one())


def fees(book: Book) -> list[str]:
    """The months that were paid."""
    with book.reading() as connection:
        rows = connection.exec_driver_sql("SELECT event_id FROM payments WHERE kind = 'fee' ORDER BY received_at")
        return [row[0].rpartition(":")[2] for row in rows]


async def asked(url: str, clock: Clock, account: str, key: str) -> str:
    """Whether the ledger admits a request of the account, in words."""
    ledger = await Ledger.open(url, clock=clock)
    try:
        held = await ledger.reserve(Order("r", account, key, "m", 10, 10, None, "generate", None, 60.0))
    except InsufficientCredits as error:
        state = await ledger.credits(account)
        return f"{error.status} {error.code} {error.limit_source} {error.affordable_max_tokens} {state.paused}"
    else:
        await ledger.release(held.id, "asked")
        return " ".join(("served", *(await ledger.credits(account)).warnings))
    finally:
        await ledger.close()


PAUSED = "402 insufficient_credits month_fee 0 True"


@pytest.fixture
def tenant(url: str, clock: Clock) -> Iterator[tuple[Book, str, Callable[[], str]]]:
    """Books with an account of 300 euros, and what the ledger says to a request of it."""
    with Book.open(url, actor="test", clock=clock) as book:
        account = accounts.add(book, "tenant").id
        key = keys.add(book, account)[0].id
        prices.add(book, "*", prices.Figures(gpu_second=1))
        grants.add(book, account, grants.Gift(amount=300 * EUR))
        yield book, account, lambda: asyncio.run(asked(url, clock, account, key))
    assert check(url) == []


def fee_due(book: Book) -> int:
    return notices.month_fee(book, 400 * EUR, "https://you.example", grace_days=7)


Tenant = tuple[Book, str, Callable[[], str]]


def test_an_unpaid_fee_warns_and_then_pauses(tenant: Tenant, clock: Clock) -> None:
    book, account, ask = tenant
    began = clock()
    assert fee_due(book) == 0
    assert owed(book, account) == (began, began + 7 * DAY)
    assert ask() == "served fee_unpaid", "the grace has begun"
    assert json.loads(outbox.listing(book)[0].body)["data"]["pauses_at"] == began + 7 * DAY
    clock.later(days=7, seconds=-1)
    assert fee_due(book) == 0
    assert ask() == "served fee_unpaid"
    clock.later(seconds=1)
    assert ask() == PAUSED, "without another look of the keeper"
    assert (fee_due(book), fee_due(book)) == (0, 0)
    assert kinds(book) == ["fee.unpaid", "fee.paused"]


def test_what_is_owed_after_a_pause_is_paid_and_the_service_resumes(tenant: Tenant, clock: Clock) -> None:
    book, account, ask = tenant
    assert fee_due(book) == 0
    clock.later(days=77)  # two months later: the months between cost nothing
    assert fee_due(book) == 0
    grants.add(book, account, grants.Gift(amount=200 * EUR))
    assert fee_due(book) == 1, "the month that it used"
    assert ask() == PAUSED, "and this one is still owed"
    grants.add(book, account, grants.Gift(amount=500 * EUR))
    assert fee_due(book) == 1
    assert owed(book, account) == (None, None)
    assert ask().startswith("served")
    assert len(fees(book)) == 2
    assert accounts.show(book, account).balance == 200 * EUR
    clock.later(days=40)
    assert fee_due(book) == 0
    clock.later(days=8)
    assert ask() == PAUSED, "the next one that is not paid"
    notices.no_fee(book)  # the operator asks for none any more
    assert ask().startswith("served")


def test_the_thread_looks_after_all_of_it_and_outlives_the_database(
    sqlite_url: str, hearer: Hearer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORCH_TAP_WEBHOOK_SECRET", SECRET)
    rules = WarningRules(webhook=hearer.url)
    config = TapConfig(
        tmp_path, "private", "t", f"sqlite:///{sqlite_url}", warnings=rules, private=PrivateTerms(month_fee=8 * EUR)
    )
    with Book.open(sqlite_url, actor="test") as book:
        accounts.add(book, "acme")
        grants.add(book, "acme", grants.Gift(amount=10 * EUR))
        thread = keeper.start(replace(config, database=f"sqlite:///{tmp_path}/nothing.db"), every=0.05)
        thread.close()
        assert not thread.is_alive()
        thread = keeper.start(config, every=0.05)
        until(lambda: hearer.heard, "the warning")
        thread.reload(replace(config, warnings=replace(rules, webhook=None)))
        thread.close()
        assert json.loads(hearer.heard[0][1])["data"]["balance"] == 2 * EUR, "after the fee"
        assert accounts.show(book, "acme").balance == 2 * EUR
        turn(book, config)
        assert len(hearer.heard) == 1


def test_days_are_days() -> None:
    assert DAY == 24 * 3600
