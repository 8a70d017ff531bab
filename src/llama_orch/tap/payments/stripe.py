# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/webhooks/stripe`: what Stripe reports becomes grants.

Contract: https://docs.stripe.com/webhooks and https://docs.stripe.com/payments/checkout/fulfill-orders. An event may
come again, late, or before the one that caused it. The account is the session's `client_reference_id` or its metadata
`account`, the pack its metadata `pack`. Anything but a bad signature or a database that is away is answered 200: Stripe
would only send it again, and the operator finds it in `orch tap payments`.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any, cast

from llama_orch.ledger.books import payments
from llama_orch.tap.admin.beside import beside
from llama_orch.tap.admin.keys import books_of
from llama_orch.tap.payments.signature import verify
from llama_orch_utils.errors import BadRequest, OrchError

if TYPE_CHECKING:
    from llama_orch.ledger.books.book import Book
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

log = logging.getLogger("llama_orch.tap.payments")

PROVIDER = "stripe"
_MICRO_PER_CENT = 10_000
_MILLION = 1_000_000
_PAID = ("checkout.session.completed", "checkout.session.async_payment_succeeded")
_FAILED = ("checkout.session.async_payment_failed", "checkout.session.expired")
_REFUNDED = "charge.refunded"
_LONGEST_ID = 255


async def handle(tap: Tap, call: Call) -> None:
    """Answers one event with what came of it. Raises BadRequest (400), LedgerAway (503: Stripe tries again)."""
    assert tap.config is not None, "only a tap has this route"
    rules = tap.config.payments
    secret = os.environ.get(rules.secret_env, "").strip()
    if not secret:
        raise OrchError(
            "this tap takes no payments", code="payments_off", status=503, hint=f"the operator sets {rules.secret_env}"
        )
    body = await call.body()
    given = call.headers.get(b"stripe-signature", b"").decode("latin-1")
    verify(body, given, secret, now=time.time(), tolerance=rules.tolerance)
    event = _event(body)
    kept = await beside(take, books_of(tap.config, PROVIDER), event)
    if kept.status == "unmatched":
        log.warning("payment %s bought nothing: %s", kept.event_id, kept.note)
    await call.reply(200, json.dumps({"received": True, "status": kept.status}).encode())


def take(book: Book, event: dict[str, Any]) -> payments.Payment:
    """Does what an event says, once."""
    identifier, kind = str(event["id"]), str(event["type"])
    about = cast("dict[str, Any]", event["data"]["object"])
    name = str(about.get("payment_intent") or about.get("id") or "")[:_LONGEST_ID]
    if kind in _PAID and about.get("payment_status") == "paid":
        return payments.purchase(book, _purchase(identifier, kind, name, about))
    if kind == _REFUNDED and _count(about.get("amount")) > 0:
        share = _count(about.get("amount_refunded")) * _MILLION // _count(about.get("amount"))
        back = payments.Refund(
            provider=PROVIDER, event=identifier, object=name, kind=kind, share=min(max(share, 0), _MILLION)
        )
        return payments.refund(book, back)
    status: payments.Status = "failed" if kind in _FAILED else "ignored"
    words = f"payment_status {about.get('payment_status')}"[:100] if kind in _PAID else ""
    return payments.note(book, PROVIDER, identifier, kind, status, words, name)


def _purchase(identifier: str, kind: str, name: str, session: dict[str, Any]) -> payments.Purchase:
    metadata = cast("dict[str, Any]", session.get("metadata") or {})
    account = metadata.get("account") or session.get("client_reference_id")
    pack = metadata.get("pack")
    # Without taxes: those are nobody's credit.
    paid = session.get("amount_subtotal")
    return payments.Purchase(
        provider=PROVIDER,
        event=identifier,
        object=name,
        kind=kind,
        account=str(account) if account else None,
        pack=str(pack) if pack else None,
        paid=_count(paid if paid is not None else session.get("amount_total")) * _MICRO_PER_CENT,
        currency=str(session.get("currency") or ""),
    )


def _event(body: bytes) -> dict[str, Any]:
    """The event. Raises BadRequest for what Stripe would not send."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the webhook's body is no JSON", code="malformed_json") from error
    shape = isinstance(event, dict) and isinstance(event.get("data"), dict)  # pyright: ignore[reportUnknownMemberType]
    if not shape or not isinstance(event["data"].get("object"), dict):  # pyright: ignore[reportUnknownMemberType]
        raise BadRequest("the webhook's body is no event")
    found = cast("dict[str, Any]", event)
    identifier = found.get("id")
    if (
        not isinstance(identifier, str)
        or not 0 < len(identifier) <= _LONGEST_ID
        or not isinstance(found.get("type"), str)
    ):
        raise BadRequest("the webhook's body is no event")
    return found


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**48 else 0
