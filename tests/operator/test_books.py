# SPDX-License-Identifier: GPL-3.0-or-later
"""Accounts, keys, grants, prices, packs and vouchers, on both databases."""

from __future__ import annotations

import hmac
import threading
from typing import Any

import pytest
from operator_clock import DAY, Clock
from sqlalchemy import select, text

from llama_orch.ledger.books import accounts, admin_keys, grants, keys, packs, prices, token, usage, vouchers
from llama_orch.ledger.books.book import Book
from llama_orch.ledger.books.limits import Limits
from llama_orch.ledger.books.view import moment, shown
from llama_orch.ledger.schema import keys as key_table
from llama_orch.ledger.schema import metadata
from llama_orch_utils.errors import BadRequest, InsufficientCredits, OrchError

EUR = 1_000_000


def failed(status: int, code: str, work: Any, *args: Any, **more: Any) -> OrchError:
    with pytest.raises(OrchError) as caught:
        work(*args, **more)
    assert (caught.value.status, caught.value.code) == (status, code)
    return caught.value


def everything(book: Book) -> bytes:
    """Every cell of the database, as bytes."""
    found: list[bytes] = []
    with book.reading() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                found += [each if isinstance(each, bytes) else str(each).encode() for each in row]
    return b"\n".join(found)


def test_an_account_is_found_by_id_and_by_name(book: Book) -> None:
    made = accounts.add(book, "acme", "a note")
    assert accounts.show(book, made.id) == accounts.show(book, "acme") == made
    assert (made.balance, made.reserved, made.paused, made.note) == (0, 0, False, "a note")
    failed(409, "account_exists", accounts.add, book, "acme")
    failed(404, "unknown_account", accounts.show, book, "acm")
    assert accounts.pause(book, "acme", paused=True).paused
    assert not accounts.pause(book, made.id, paused=False).paused
    other = accounts.add(book, made.id)  # named like the other's id: the id counts first
    assert accounts.show(book, made.id).id == made.id != other.id


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, "a\nb", "a\x00b", "\x1b[31m"])
def test_a_name_that_cannot_be_is_refused(name: str, book: Book) -> None:
    failed(400, "bad_request", accounts.add, book, name)


@pytest.mark.parametrize("word", ["' OR 1=1 --", "acme'; DROP TABLE accounts; --", "%", "_", "acme%", "\\", "a\x00"])
def test_sql_in_a_name_is_a_name(word: str, book: Book) -> None:
    accounts.add(book, "acme")
    with pytest.raises(OrchError):
        accounts.show(book, word)
    if word.isprintable():
        assert accounts.show(book, accounts.add(book, word).id).name == word
    assert accounts.show(book, "acme").name == "acme"


def test_a_private_tap_has_one_tenant(url: str, clock: Clock) -> None:
    with Book.open(url, actor="test", clock=clock, tenants=1) as book:
        accounts.add(book, "the one")
        failed(409, "one_tenant", accounts.add, book, "another")


def test_a_key_is_kept_as_a_digest_and_nothing_else(book: Book) -> None:
    account = accounts.add(book, "acme")
    key, text_ = keys.add(book, "acme")
    admin, admin_text = admin_keys.add(book)
    voucher, code = vouchers.add(book, EUR)
    assert text_.startswith(f"sk-orch-{key.id}-")
    assert key.account == account.id
    content = everything(book)
    for secret in (text_, admin_text, code):
        assert secret.encode() not in content
        assert secret.split("-", 3)[-1].encode() not in content
    assert code.replace("-", "").encode() not in content
    given = token.split(text_.encode())
    assert given is not None
    with book.reading() as connection:
        held = connection.execute(select(key_table.c.digest).where(key_table.c.id == key.id)).scalar_one()
    assert given[0] == key.id
    assert hmac.compare_digest(bytes(held), given[1])
    assert not any("digest" in shown(each) for each in (key, admin, voucher))
    assert text_ not in repr(key)
    assert "secret" not in repr(token.issue())


def test_the_limits_of_a_key(book: Book, clock: Clock) -> None:
    accounts.add(book, "acme")
    wanted = Limits(
        models=("gpt-oss", "*", "gpt-oss"),
        expires_at=clock() + DAY,
        requests_per_minute=60,
        tokens_per_minute=1000,
        concurrent=4,
        budget_day=EUR,
        budget_month=20 * EUR,
        networks=("10.1.2.3/8", "::1"),
        note="laptop",
    )
    key, _ = keys.add(book, "acme", wanted)
    assert key.models == ("gpt-oss", "*")
    assert key.networks == ("10.0.0.0/8", "::1/128")
    assert (key.concurrent, key.budget_month, key.note) == (4, 20 * EUR, "laptop")
    changed = keys.change(book, key.id, {"requests_per_minute": None, "note": "phone"})
    assert (changed.requests_per_minute, changed.note, changed.tokens_per_minute) == (None, "phone", 1000)
    clock.later(days=2)
    assert keys.change(book, key.id, {"concurrent": 8}).concurrent == 8, "it has expired, and may still be changed"
    assert keys.listing(book, "acme") == keys.listing(book) == [keys.show(book, key.id)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"expires_at": 1.0},
        {"requests_per_minute": 0},
        {"tokens_per_minute": -1},
        {"concurrent": 2**40},
        {"budget_day": 0},
        {"budget_month": 2**60},
        {"networks": ("300.1.1.1",)},
        {"networks": ("10.0.0.0/33",)},
        {"models": ("../etc",)},
        {"models": tuple(f"m{n}" for n in range(300))},
        {"note": "x" * 1001},
    ],
)
def test_limits_that_cannot_be_meant(wrong: dict[str, Any], book: Book) -> None:
    accounts.add(book, "acme")
    error = failed(400, "bad_request", keys.add, book, "acme", Limits(**wrong))
    assert error.param  # type: ignore[attr-defined]
    assert keys.listing(book) == []


def test_a_key_is_revoked_and_rotated(book: Book, clock: Clock) -> None:
    accounts.add(book, "acme")
    first, _ = keys.add(book, "acme", Limits(concurrent=3, models=("m",)))
    second, text_ = keys.rotate(book, first.id)
    assert (second.concurrent, second.models, second.rotated_from) == (3, ("m",), first.id)
    assert text_.startswith(f"sk-orch-{second.id}-")
    assert keys.show(book, first.id).revoked_at == clock()
    failed(409, "key_revoked", keys.rotate, book, first.id)
    failed(409, "key_revoked", keys.change, book, first.id, {"note": "x"})
    third, _ = keys.rotate(book, second.id, grace=3600)
    old = keys.show(book, second.id)
    assert (old.revoked_at, old.expires_at) == (None, clock() + 3600)
    at = keys.revoke(book, third.id).revoked_at
    clock.later(days=1)
    assert keys.revoke(book, third.id).revoked_at == at, "a second time changes nothing"
    failed(404, "unknown_key", keys.revoke, book, "k" * 16)


def test_the_admin_apis_keys(book: Book, clock: Clock) -> None:
    made, text_ = admin_keys.add(book, "laptop", clock() + DAY)
    assert admin_keys.holder(book, text_.encode()) == made.id
    client, client_text = keys.add(book, accounts.add(book, "acme").id)
    assert admin_keys.holder(book, client_text.encode()) is None
    forged = f"sk-orch-{made.id}-{client_text.rpartition('-')[2]}"
    for wrong in (b"", b"x", text_.encode()[:-1], text_.encode() + b"x", forged.encode(), b"\xff" * 70):
        assert admin_keys.holder(book, wrong) is None
    clock.later(days=2)
    assert admin_keys.holder(book, text_.encode()) is None, "it has expired"
    other, other_text = admin_keys.add(book)
    admin_keys.revoke(book, other.id)
    assert admin_keys.holder(book, other_text.encode()) is None
    failed(404, "unknown_admin_key", admin_keys.revoke, book, client.id)
    assert [each.id for each in admin_keys.listing(book)] == [made.id, other.id]


def test_a_grant_happens_once_per_id(book: Book, clock: Clock) -> None:
    account = accounts.add(book, "acme")
    gift = grants.Gift(amount=10 * EUR, days=365, id="invoice-1", reason="paid by wire")
    made = grants.add(book, "acme", gift)
    assert grants.add(book, account.id, gift) == made
    assert accounts.show(book, "acme").balance == 10 * EUR
    assert (made.expires_at, made.actor, made.reason) == (clock() + 365 * DAY, "test", "paid by wire")
    failed(409, "id_in_use", grants.add, book, "acme", grants.Gift(amount=11 * EUR, id="invoice-1"))
    other = accounts.add(book, "other")
    failed(409, "id_in_use", grants.add, book, other.id, gift)
    without = grants.add(book, "acme", grants.Gift(amount=1))
    assert moment(without.expires_at)[:10] == "2027-11-18", "twelve months"  # type: ignore[index]
    assert {each.id for each in grants.listing(book, "acme")} == {"invoice-1", without.id}


@pytest.mark.parametrize(
    "wrong", [{"amount": 0}, {"amount": -1}, {"amount": 2**60}, {"amount": 1, "days": 0}, {"amount": 1, "id": "a b"},
              {"amount": 1, "kind": "loan"}, {"amount": 1, "reason": "\x00"}]
)  # fmt: skip
def test_a_grant_that_cannot_be_is_refused(wrong: dict[str, Any], book: Book) -> None:
    accounts.add(book, "acme")
    failed(400, "bad_request", grants.add, book, "acme", grants.Gift(**wrong))
    assert accounts.show(book, "acme").balance == 0


def test_mistakes_are_corrected_by_opposite_entries(book: Book) -> None:
    accounts.add(book, "acme")
    grants.add(book, "acme", grants.Gift(amount=10 * EUR))
    done = grants.adjust(book, "acme", -4 * EUR, reason="granted twice", id="fix-1")
    assert (done.balance, accounts.show(book, "acme").balance) == (6 * EUR, 6 * EUR)
    assert grants.adjust(book, "acme", -4 * EUR, reason="granted twice", id="fix-1").balance == 6 * EUR
    with pytest.raises(InsufficientCredits):
        grants.adjust(book, "acme", -7 * EUR, reason="too much")
    assert grants.adjust(book, "acme", EUR, reason="sorry").balance == 7 * EUR
    failed(400, "bad_request", grants.adjust, book, "acme", EUR, reason="  ")
    with book.reading() as connection:
        rows = connection.execute(text("SELECT reason, actor FROM journal WHERE kind = 'adjust' ORDER BY id")).all()
    assert [tuple(row) for row in rows] == [("granted twice", "test"), ("sorry", "test")]
    failed(404, "unknown_request", grants.refund, book, "no-such", None, reason="x")


def test_prices_are_versions(book: Book, clock: Clock) -> None:
    first = prices.add(book, "m", prices.Figures(input=1_200_000, output=2_400_000))
    assert (first.cached, first.embeddings, first.gpu_second, first.current) == (1_200_000, 1_200_000, 0, True)
    clock.later(seconds=10)
    assert prices.add(book, "m", prices.Figures(input=1_200_000, output=2_400_000)) == first, "nothing has changed"
    second = prices.add(book, "m", prices.Figures(input=1, output=2, cached=0))
    assert second.id > first.id
    planned = prices.add(book, "m", prices.Figures(input=9, output=9), clock() + DAY)
    every = prices.add(book, "*", prices.Figures(gpu_second=1056))
    assert [each.id for each in prices.listing(book)] == [every.id, planned.id, second.id]
    assert [each.id for each in prices.listing(book, history=True)] == [every.id, planned.id, second.id, first.id]
    assert [each.current for each in prices.listing(book)] == [True, False, True]
    clock.later(days=2)
    with book.reading() as connection:
        assert prices.current(connection, clock())["m"].id == planned.id
    failed(400, "bad_request", prices.add, book, "m", prices.Figures(), clock() - 1)
    failed(400, "bad_request", prices.add, book, "m", prices.Figures(input=-1))
    failed(400, "bad_request", prices.add, book, "a b", prices.Figures())


def test_packs_are_there_from_the_start(book: Book) -> None:
    listed = [(each.name, each.price, each.amount, each.days) for each in packs.listing(book)]
    amounts = (("Starter", 50), ("Builder", 200), ("Pro", 500))
    assert listed == [(name, price * EUR, price * EUR, None) for name, price in amounts]


def test_packs_are_sold_changed_and_withdrawn(book: Book) -> None:
    accounts.add(book, "acme")
    sold = packs.sell(book, "acme", "starter", id="wire-1", reason="wire")
    assert (sold.kind, sold.amount, sold.reference) == ("purchase", 50 * EUR, "pack:Starter")
    assert packs.sell(book, "acme", "Starter", id="wire-1").id == sold.id
    team = packs.put(book, packs.Offer(name="Team", price=1000 * EUR, amount=1100 * EUR, days=730))
    assert packs.put(book, packs.Offer(name="team", price=900 * EUR)).id == team.id
    assert packs.sell(book, "acme", "team").amount == 900 * EUR
    packs.withdraw(book, "team")
    failed(409, "pack_withdrawn", packs.sell, book, "acme", "team")
    failed(404, "unknown_pack", packs.sell, book, "acme", "none")
    assert "team" not in [each.name for each in packs.listing(book)]
    assert "team" in [each.name for each in packs.listing(book, all_=True)]


def test_gpu_hours_are_reckoned_at_the_rate_of_the_day(book: Book) -> None:
    accounts.add(book, "acme")
    packs.put(book, packs.Offer(name="hours", price=350 * EUR, gpu_hours=100, gpu="H100"))
    failed(400, "bad_request", packs.sell, book, "acme", "hours")
    prices.add(book, "*", prices.Figures(gpu_second=1000))
    first = packs.sell(book, "acme", "hours")
    assert (first.amount, first.scope) == (100 * 3600 * 1000, "gpu:H100")
    prices.add(book, "gpu:H100", prices.Figures(gpu_second=2000))
    assert packs.sell(book, "acme", "hours").amount == 100 * 3600 * 2000
    failed(400, "bad_request", packs.put, book, packs.Offer(name="x", price=EUR, gpu_hours=1, amount=EUR))
    failed(400, "bad_request", packs.put, book, packs.Offer(name="x", price=EUR, gpu="H100"))
    failed(400, "bad_request", packs.put, book, packs.Offer(name="x", price=0))


def test_a_voucher_is_redeemed_once(book: Book, clock: Clock) -> None:
    first, second = accounts.add(book, "first"), accounts.add(book, "second")
    made, code = vouchers.add(book, 3 * EUR, days=30, valid_days=10, note="fair")
    sloppy = f" {code.lower().replace('-', ' ')}\n"
    grant = vouchers.redeem(book, sloppy, "first")
    assert (grant.kind, grant.amount, grant.expires_at) == ("voucher", 3 * EUR, clock() + 30 * DAY)
    assert vouchers.redeem(book, code, first.id) == grant, "the same account again: the same grant"
    failed(409, "voucher_redeemed", vouchers.redeem, book, code, second.id)
    failed(409, "voucher_redeemed", vouchers.revoke, book, made.id)
    assert accounts.show(book, "first").balance == 3 * EUR
    assert accounts.show(book, "second").balance == 0
    _, late = vouchers.add(book, EUR, valid_days=1)
    revoked, gone = vouchers.add(book, EUR)
    vouchers.revoke(book, revoked.id)
    clock.later(days=2)
    for wrong in (late, gone, "", "AAAAA-AAAAA-AAAAA-AAAAA", "\x00", "é"):
        failed(404, "unknown_voucher", vouchers.redeem, book, wrong, "second")
    assert {each.redeemed_by for each in vouchers.listing(book)} == {first.id, None}


def test_two_who_redeem_one_voucher_at_once(url: str, clock: Clock) -> None:
    with Book.open(url, actor="test", clock=clock) as book:
        names = [accounts.add(book, f"a{n}").id for n in range(6)]
        _, code = vouchers.add(book, EUR)
        ends: list[str] = []

        def redeem(name: str) -> None:
            try:
                vouchers.redeem(book, code, name)
                ends.append("granted")
            except OrchError as error:
                ends.append(error.code)

        threads = [threading.Thread(target=redeem, args=(name,)) for name in names]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        assert sorted(ends) == ["granted"] + ["voucher_redeemed"] * 5
        assert sum(each.balance for each in accounts.listing(book)) == EUR


def test_usage_of_nothing_and_days_that_are_none(book: Book) -> None:
    accounts.add(book, "acme")
    assert usage.lines(book, "acme", start="2026-11-01", end="2026-11-30", group_by="account") == []
    failed(400, "bad_request", usage.lines, book, None, start="yesterday")
    failed(404, "unknown_account", usage.lines, book, "nobody")


def test_what_is_not_asked_right_is_a_bad_request() -> None:
    assert issubclass(BadRequest, OrchError)
    assert moment(None) is None
    assert moment(0.9) == "1970-01-01T00:00:00Z"
