# SPDX-License-Identifier: GPL-3.0-or-later
"""Stripe's webhook: the signature as Stripe's own package makes and checks it, and events in every order."""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from typing import Any

import pytest
import stripe
from operator_clock import Clock
from sqlalchemy import text

from llama_orch.ledger.books import accounts, grants, packs, payments
from llama_orch.ledger.books.book import Book
from llama_orch.tap.payments.signature import sign, verify
from llama_orch.tap.payments.stripe import take
from llama_orch_utils.errors import BadRequest

EUR = 1_000_000
SECRET = "whsec_test_0123456789"
_numbers = itertools.count(1)


def header_of(body: bytes, secret: str = SECRET, at: int | None = None) -> str:
    """As Stripe's servers sign, by the package's own code."""
    return stripe.WebhookSignature.generate_signature_header(body.decode(), secret, at)


def session(account: str | None, cents: int = 5000, *, intent: str = "pi_1", **more: Any) -> dict[str, Any]:
    """The parts of a Checkout Session that count (https://docs.stripe.com/api/checkout/sessions/object)."""
    return {
        "object": "checkout.session",
        "id": f"cs_{intent}",
        "payment_intent": intent,
        "payment_status": "paid",
        "amount_subtotal": cents,
        "amount_total": cents * 119 // 100,
        "currency": "eur",
        "client_reference_id": account,
        "metadata": {},
    } | more


def event(kind: str, about: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    return {"object": "event", "id": name or f"evt_{next(_numbers)}", "type": kind, "data": {"object": about}}


def refunded(intent: str = "pi_1", amount: int = 5950, back: int = 5950, name: str | None = None) -> dict[str, Any]:
    charge = {"object": "charge", "id": "ch_1", "payment_intent": intent, "amount": amount, "amount_refunded": back}
    return event("charge.refunded", charge, name)


BOUGHT = "checkout.session.completed"
LATER = "checkout.session.async_payment_succeeded"


def balance(book: Book, name: str = "acme") -> int:
    return accounts.show(book, name).balance


@pytest.fixture
def acme(book: Book) -> str:
    return accounts.add(book, "acme").id


# The signature


@pytest.mark.parametrize("body", [b"{}", '{"ü": "\\u20ac €"}'.encode(), b" ", b'{"a":\n1}'])
def test_what_stripes_package_signs_is_taken_and_the_other_way_round(body: bytes) -> None:
    now = int(time.time())
    verify(body, header_of(body), SECRET, now=now, tolerance=300)
    assert stripe.WebhookSignature.verify_header(body.decode(), sign(body, SECRET, now), SECRET, 300)
    assert sign(body, SECRET, now) == header_of(body, at=now)


def test_an_event_that_stripes_package_constructs_is_the_one_that_is_taken() -> None:
    body = json.dumps(event(BOUGHT, session("acme"))).encode()
    made = stripe.Webhook.construct_event(body, sign(body, SECRET, int(time.time())), SECRET)
    assert made.type == BOUGHT
    assert made.data.object["client_reference_id"] == "acme"


def test_a_rolled_secret_has_two_signatures() -> None:
    body, at = b"{}", int(time.time())
    old, new = header_of(body, "whsec_old", at), header_of(body, SECRET, at)
    both = f"{old},{new.partition(',')[2]},v0=abc"
    verify(body, both, SECRET, now=at, tolerance=300)
    verify(body, both, "whsec_old", now=at, tolerance=300)
    assert stripe.WebhookSignature.verify_header("{}", both, SECRET, 300)


REFUSED = {
    "nothing": "",
    "no stamp": "v1=" + "0" * 64,
    "no signature": "t=1",
    "only v0": "t=1,v0=abc",
    "two stamps": "t=1,t=2,v1=00",
    "letters": "t=now,v1=00",
    "negative": "t=-1,v1=00",
    "long": "t=" + "9" * 400 + ",v1=00",
    "digits of another script": "t=١٢,v1=00",
    "junk": "\x00,=,,=,t",
}


@pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED.keys())
def test_headers_that_are_none(header: str) -> None:
    with pytest.raises(BadRequest) as caught:
        verify(b"{}", header, SECRET, now=1, tolerance=300)
    assert caught.value.code == "invalid_signature"


def test_a_changed_body_a_wrong_secret_and_an_old_stamp() -> None:
    body, now = b'{"amount": 1}', int(time.time())
    good = header_of(body, at=now)
    for content, header, secret, at in (
        (b'{"amount": 2}', good, SECRET, now),
        (body, good, "whsec_other", now),
        (body, good, SECRET, now + 301),
        (body, header_of(body, at=now + 301), SECRET, now),
        (body, good.replace(f"t={now}", f"t={now - 1}"), SECRET, now),
    ):
        with pytest.raises(BadRequest):
            verify(content, header, secret, now=at, tolerance=300)
        ours = "" if at != now or f"t={now + 301}" in header else "theirs too"
        if ours:
            with pytest.raises(stripe.SignatureVerificationError):
                stripe.WebhookSignature.verify_header(content.decode(), header, secret, 300)
    verify(body, good, SECRET, now=now + 300, tolerance=300)


# What events do


def test_a_purchase_grants_once_however_often_it_is_told(book: Book, acme: str) -> None:
    bought = event(BOUGHT, session(acme))
    first = take(book, bought)
    assert (first.status, first.grant_id, first.amount) == ("granted", bought["id"], 50 * EUR)
    for _ in range(3):
        assert take(book, bought) == first
    again = take(book, event(LATER, session(acme)))
    assert (again.status, again.grant_id) == ("again", None)
    assert balance(book) == 50 * EUR, "without the tax"
    (grant,) = grants.listing(book, acme)
    assert (grant.id, grant.kind, grant.actor) == (bought["id"], "purchase", "test")


def test_a_pack_gives_what_it_gives(book: Book, acme: str) -> None:
    packs.put(book, packs.Offer(name="Team", price=100 * EUR, amount=120 * EUR, days=30))
    bought = event(BOUGHT, session(None, 10_000, metadata={"account": "acme", "pack": "Team"}))
    assert take(book, bought).status == "granted"
    assert balance(book) == 120 * EUR
    assert grants.listing(book, acme)[0].reference == "pack:Team"


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"client_reference_id": "nobody"}, "no account 'nobody'"),
        ({"client_reference_id": None}, "no account ''"),
        ({"client_reference_id": "' OR 1=1 --"}, "no account"),
        ({"currency": "usd"}, "paid in usd, not in EUR"),
        ({"amount_subtotal": 0}, "nothing was paid"),
        ({"amount_subtotal": -5}, "nothing was paid"),
        ({"amount_subtotal": "5000"}, "nothing was paid"),
        ({"metadata": {"pack": "Pro"}}, "micro-euros were paid, Pro costs"),
        ({"metadata": {"pack": "Gold"}}, "there is no pack 'Gold'"),
    ],
)
def test_money_that_buys_nothing_is_written_down(about: dict[str, Any], words: str, book: Book, acme: str) -> None:
    kept = take(book, event(BOUGHT, session(acme, **about)))
    assert (kept.status, kept.grant_id) == ("unmatched", None)
    assert words in kept.note
    assert balance(book) == 0
    assert payments.listing(book) == [kept]


def test_the_operator_mends_it_by_hand_and_a_redelivery_changes_nothing(book: Book, acme: str) -> None:
    lost = event(BOUGHT, session("nobody"))
    assert take(book, lost).status == "unmatched"
    grants.add(book, acme, grants.Gift(amount=50 * EUR, id=lost["id"], kind="purchase"))
    assert take(book, lost).status == "unmatched"
    assert balance(book) == 50 * EUR


def test_a_payment_that_comes_later(book: Book, acme: str) -> None:
    assert take(book, event(BOUGHT, session(acme, payment_status="unpaid"))).status == "ignored"
    assert balance(book) == 0
    assert take(book, event(LATER, session(acme))).status == "granted"
    assert balance(book) == 50 * EUR


def test_a_payment_that_fails(book: Book, acme: str) -> None:
    assert take(book, event(BOUGHT, session(acme, payment_status="unpaid"))).status == "ignored"
    kept = take(book, event("checkout.session.async_payment_failed", session(acme, payment_status="unpaid")))
    assert kept.status == "failed"
    assert take(book, event("customer.created", {"id": "cus_1"})).status == "ignored"
    assert balance(book) == 0


def test_a_refund_takes_back_what_is_there(book: Book, acme: str) -> None:
    take(book, event(BOUGHT, session(acme)))
    half = refunded(back=2975)
    assert take(book, half).status == "refunded"
    assert balance(book) == 25 * EUR
    assert take(book, half).note == take(book, half).note
    assert take(book, refunded(back=5950)).note == f"{25 * EUR} of {25 * EUR} micro-euros taken back"
    assert balance(book) == 0


def test_a_refund_of_what_was_spent_goes_no_lower_than_nothing(book: Book, acme: str) -> None:
    take(book, event(BOUGHT, session(acme)))
    grants.adjust(book, acme, -40 * EUR, reason="as if spent")
    assert take(book, refunded()).note == f"{10 * EUR} of {50 * EUR} micro-euros taken back"
    assert balance(book) == 0


def test_every_order_of_events_ends_the_same(book: Book) -> None:
    """A purchase, its late confirmation, two refunds, each told twice: 24 orders, one balance."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for number, order in enumerate(itertools.permutations(range(4))):
        name = accounts.add(book, f"a{number}").id
        intent = f"pi_{number}"
        told = [
            event(BOUGHT, session(name, intent=intent)),
            event(LATER, session(name, intent=intent)),
            refunded(intent, back=1190),
            refunded(intent, back=2975),
        ]
        for place in order:
            for _ in range(dice.randint(1, 3)):
                take(book, told[place])
        states = {each.event_id: each.status for each in payments.listing(book) if each.object_id == intent}
        assert sorted(states.values()) == ["again", "granted", "refunded", "refunded"], order
        # A smaller refund that comes after a larger one is a part of it.
        assert balance(book, name) == 25 * EUR, order


def test_one_event_in_many_processes_at_once(url: str, clock: Clock) -> None:
    with Book.open(url, actor="stripe", clock=clock) as book:
        account = accounts.add(book, "acme").id
        told = [event(BOUGHT, session(account)), event(LATER, session(account)), refunded(back=2975)]
        failures: list[Exception] = []

        def deliver(which: dict[str, Any]) -> None:
            for _ in range(20):
                try:
                    take(book, which)
                except Exception as error:  # noqa: BLE001 - Stripe would deliver it again
                    failures.append(error)
                else:
                    return

        threads = [threading.Thread(target=deliver, args=(each,)) for each in told * 4]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
        assert balance(book) == 25 * EUR, failures
        assert len(payments.listing(book)) == 3
        with book.reading() as connection:
            odd = connection.execute(text("SELECT count(*) FROM grants")).scalar_one()
        assert odd == 1
