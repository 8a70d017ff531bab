# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operation of the admin API, as data. Each calls what the command of the same name calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from llama_orch.ledger.books import accounts, admin_keys, grants, keys, outbox, packs, payments, prices, usage, vouchers
from llama_orch.ledger.books.book import Book
from llama_orch.ledger.books.view import shown
from llama_orch.tap.admin import bodies
from llama_orch.tap.admin.beside import SECONDS
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch.tap.config.record import TapConfig

_CREATED = 201


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: `place` fills the path's stars, `query` is what stands behind the question mark."""

    config: TapConfig
    place: tuple[str, ...]
    query: Mapping[str, str]
    body: bodies.Given


Answer = Mapping[str, Any]
Run = Callable[[Book, Asked], Answer]


@dataclass(frozen=True, slots=True)
class Operation:
    """`path` below `/admin/v1`; a `*` stands for one part. `query` are the parameters that it knows.

    `seconds` is how long it may take.
    """

    method: str
    path: str
    help: str
    run: Run
    body: type[bodies.Given] = bodies.Nothing
    query: tuple[str, ...] = ()
    status: int = 200
    seconds: float = SECONDS


def _list(records: list[Any]) -> Answer:
    return {"data": [shown(each) for each in records]}


def _account(book: Book, asked: Asked) -> Answer:
    found = accounts.show(book, asked.place[0])
    return {**shown(found), "grants": _list(grants.listing(book, found.id))["data"]}


def _add_key(book: Book, asked: Asked) -> Answer:
    key, secret = keys.add(book, asked.place[0], cast("bodies.KeyBody", asked.body).limits())
    return {**shown(key), "secret": secret}


def _change_key(book: Book, asked: Asked) -> Answer:
    return shown(keys.change(book, asked.place[0], cast("bodies.KeyBody", asked.body).given()))


def _rotate_key(book: Book, asked: Asked) -> Answer:
    key, secret = keys.rotate(book, asked.place[0], cast("bodies.RotateBody", asked.body).grace)
    return {**shown(key), "secret": secret}


def _add_grant(book: Book, asked: Asked) -> Answer:
    body = cast("bodies.GrantBody", asked.body)
    if (body.amount is None) == (body.pack is None):
        raise BadRequest("a grant is an amount or a pack", param="/amount")
    if body.pack is not None:
        return shown(packs.sell(book, asked.place[0], body.pack, id=body.id, reason=body.reason))
    return shown(grants.add(book, asked.place[0], body.gift()))


def _adjust(book: Book, asked: Asked) -> Answer:
    body = cast("bodies.AdjustmentBody", asked.body)
    return shown(grants.adjust(book, asked.place[0], body.amount, reason=body.reason, id=body.id))


def _refund(book: Book, asked: Asked) -> Answer:
    body = cast("bodies.RefundBody", asked.body)
    return shown(grants.refund(book, body.request, body.amount, reason=body.reason, id=body.id))


def _add_price(book: Book, asked: Asked) -> Answer:
    body = cast("bodies.PriceBody", asked.body)
    start = None if body.starts_at is None else body.starts_at.timestamp()
    return shown(prices.add(book, body.model, body.figures(), start))


def _add_voucher(book: Book, asked: Asked) -> Answer:
    body = cast("bodies.VoucherBody", asked.body)
    voucher, code = vouchers.add(book, body.amount, days=body.days, valid_days=body.valid_days, note=body.note)
    return {**shown(voucher), "code": code}


def _add_admin_key(book: Book, asked: Asked) -> Answer:
    body = cast("bodies.AdminKeyBody", asked.body)
    expires_at = None if body.expires_at is None else body.expires_at.timestamp()
    key, secret = admin_keys.add(book, body.note, expires_at)
    return {**shown(key), "secret": secret}


def _usage(book: Book, asked: Asked) -> Answer:
    query = asked.query
    group = query.get("group_by", "day")
    if group not in usage.GROUPS:
        raise BadRequest(f"group_by is one of {', '.join(usage.GROUPS)}", param="/group_by")
    found = usage.lines(
        book, query.get("account"), start=query.get("from"), end=query.get("to"),
        group_by=group,
    )  # fmt: skip
    return _list(found)


def _check(_book: Book, asked: Asked) -> Answer:
    from llama_orch.ledger.check import check

    found = check(asked.config.database)
    return {"clean": not found, "data": [shown(each) for each in found]}


def _index(_book: Book, _asked: Asked) -> Answer:
    listed = [
        {
            "method": each.method,
            "path": f"/admin/v1{each.path}",
            "help": each.help,
            "query": list(each.query),
            "body": each.body.model_json_schema().get("properties", {}),
        }
        for each in OPERATIONS
    ]
    return {"data": listed}


def _name(asked: Asked) -> str:
    return asked.place[0]


OPERATIONS: tuple[Operation, ...] = (
    Operation("GET", "", "what this API does", _index),
    Operation("GET", "/accounts", "all accounts", lambda book, _: _list(accounts.listing(book))),
    Operation(
        "POST", "/accounts", "a new account",
        lambda book, asked: shown(accounts.add(book, **asked.body.model_dump())), bodies.AccountBody, status=_CREATED,
    ),
    Operation("GET", "/accounts/*", "one account and its grants", _account),
    Operation(
        "POST", "/accounts/*/pause", "stop its requests, at once",
        lambda book, asked: shown(accounts.pause(book, _name(asked), paused=True)),
    ),
    Operation(
        "POST", "/accounts/*/resume", "let them go on",
        lambda book, asked: shown(accounts.pause(book, _name(asked), paused=False)),
    ),
    Operation("GET", "/accounts/*/keys", "its keys", lambda book, asked: _list(keys.listing(book, _name(asked)))),
    Operation("POST", "/accounts/*/keys", "a new key; its secret is shown once", _add_key, bodies.KeyBody,
              status=_CREATED),
    Operation("GET", "/accounts/*/grants", "its grants", lambda book, asked: _list(grants.listing(book, _name(asked)))),
    Operation("POST", "/accounts/*/grants", "credits, once per id", _add_grant, bodies.GrantBody, status=_CREATED),
    Operation("POST", "/accounts/*/adjustments", "more or less, with a reason", _adjust, bodies.AdjustmentBody,
              status=_CREATED),
    Operation(
        "POST", "/accounts/*/redeem", "redeem a voucher for it",
        lambda book, asked: shown(vouchers.redeem(book, cast("bodies.RedeemBody", asked.body).code, _name(asked))),
        bodies.RedeemBody, status=_CREATED,
    ),
    Operation("GET", "/keys", "all keys", lambda book, _: _list(keys.listing(book))),
    Operation("GET", "/keys/*", "one key", lambda book, asked: shown(keys.show(book, _name(asked)))),
    Operation("PATCH", "/keys/*", "change its limits", _change_key, bodies.KeyBody),
    Operation("POST", "/keys/*/revoke", "end it, at once", lambda book, asked: shown(keys.revoke(book, _name(asked)))),
    Operation("POST", "/keys/*/rotate", "another key in its place", _rotate_key, bodies.RotateBody, status=_CREATED),
    Operation("POST", "/refunds", "give back what a request cost", _refund, bodies.RefundBody, status=_CREATED),
    Operation(
        "GET", "/prices", "what holds, and what will; history=true: all versions",
        lambda book, asked: _list(prices.listing(book, history=asked.query.get("history") == "true")),
        query=("history",),
    ),
    Operation("POST", "/prices", "a new version", _add_price, bodies.PriceBody, status=_CREATED),
    Operation(
        "GET", "/packs", "what is for sale; all=true: also what was",
        lambda book, asked: _list(packs.listing(book, all_=asked.query.get("all") == "true")), query=("all",),
    ),
    Operation(
        "POST", "/packs", "a new pack, or a changed one",
        lambda book, asked: shown(packs.put(book, cast("bodies.PackBody", asked.body).offer())), bodies.PackBody,
        status=_CREATED,
    ),
    Operation("DELETE", "/packs/*", "off sale", lambda book, asked: shown(packs.withdraw(book, _name(asked)))),
    Operation("GET", "/vouchers", "all vouchers", lambda book, _: _list(vouchers.listing(book))),
    Operation("POST", "/vouchers", "a new one; its code is shown once", _add_voucher, bodies.VoucherBody,
              status=_CREATED),
    Operation("POST", "/vouchers/*/revoke", "make it worthless",
              lambda book, asked: shown(vouchers.revoke(book, _name(asked)))),
    Operation("GET", "/usage", "what was used: by day, model, key or account", _usage,
              query=("account", "from", "to", "group_by")),
    Operation("GET", "/payments", "what the payment provider reported", lambda book, _: _list(payments.listing(book))),
    Operation("GET", "/notices", "what the webhook was told", lambda book, _: _list(outbox.listing(book))),
    Operation("GET", "/admin-keys", "the keys of this API", lambda book, _: _list(admin_keys.listing(book))),
    Operation("POST", "/admin-keys", "a new one; its secret is shown once", _add_admin_key, bodies.AdminKeyBody,
              status=_CREATED),
    Operation("POST", "/admin-keys/*/revoke", "end it, at once",
              lambda book, asked: shown(admin_keys.revoke(book, _name(asked)))),
    Operation("GET", "/check", "whether the ledger's invariants hold", _check, seconds=600),
)  # fmt: skip
"""In no order: no two fit one path and method."""


def matching(path: str) -> list[tuple[Operation, tuple[str, ...]]]:
    """The operations of a path below `/admin/v1`, whatever their method, with what stands for the stars."""
    from urllib.parse import unquote

    parts = path.split("/")
    found: list[tuple[Operation, tuple[str, ...]]] = []
    for each in OPERATIONS:
        pattern = each.path.split("/")
        if len(pattern) == len(parts) and all(a in {"*", b} for a, b in zip(pattern, parts, strict=True)):
            place = tuple(unquote(b) for a, b in zip(pattern, parts, strict=True) if a == "*")
            found.append((each, place))
    return found
