# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap key add | ls | set | rotate | revoke`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, flag, option
from llama_orch.cli.tap.opening import InTap, books, for_people, micro

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_DAY = 86_400
_KEYS = {
    "id": "what the other commands take; it stands in logs and usage",
    "secret": "what clients send; shown this once (add, rotate)",
    "account": "who pays for it",
    "models": "what it may ask for; an empty list: everything",
    "created_at": "when it was made",
    "expires_at": "when it ends, or null",
    "revoked_at": "when it was ended, or null",
    "requests_per_minute": "its limit, or null",
    "tokens_per_minute": "its limit, or null",
    "concurrent": "requests at once, or null",
    "budget_day": "micro-euros per UTC day, or null",
    "budget_month": "micro-euros per UTC month, or null",
    "networks": "the addresses that it may come from; an empty list: everywhere",
    "note": "the operator's own words",
    "paused": "whether it is stopped",
    "rotated_from": "the key whose place it took, or null",
}
_ADMIN = {name: _KEYS[name] for name in ("id", "secret", "note", "created_at", "expires_at", "revoked_at")}


@dataclass(frozen=True, kw_only=True)
class Limited(InTap):
    """The limits that a key may have."""

    model: tuple[str, ...] = option("-m", "--model", value="MODEL", many=True, help="may ask for this model only")
    days: int | None = option("--days", value="N", kind=int, bounds=(1, 36_525), help="ends in so many days")
    rpm: int | None = option("--rpm", value="N", kind=int, bounds=(1, None), help="requests per minute")
    tpm: int | None = option("--tpm", value="N", kind=int, bounds=(1, None), help="tokens per minute")
    concurrent: int | None = option("--concurrent", value="N", kind=int, bounds=(1, None), help="requests at once")
    budget_day: str | None = option("--budget-day", value="EUR", help="euros per day (UTC)")
    budget_month: str | None = option("--budget-month", value="EUR", help="euros per month (UTC)")
    network: tuple[str, ...] = option("--network", value="CIDR", many=True, help="may come from these addresses only")
    note: str | None = option("--note", value="TEXT", help="your own words about it")


@dataclass(frozen=True, kw_only=True)
class Add(Limited):
    """Make a key for an account; its secret is shown this once.

    Clients send the secret. Without options the key has no limit but the account's credits.
    """

    account: str | None = argument("ACCOUNT", help="an id or a name of orch tap account ls", required=False)
    admin: bool = flag("--admin", help="a key of the admin API instead, of no account")


@dataclass(frozen=True, kw_only=True)
class Ls(InTap):
    """List the keys."""

    account: str | None = argument("ACCOUNT", help="of this account only", required=False)
    admin: bool = flag("--admin", help="the keys of the admin API instead")


@dataclass(frozen=True, kw_only=True)
class Set(Limited):
    """Change the limits of a key; what is not named stays. Holds from the next request."""

    key: str = argument("KEY", help="an id of orch tap key ls")
    clear: tuple[str, ...] = option(
        "--clear", value="LIMIT", many=True, help="take a limit away",
        choices=("model", "days", "rpm", "tpm", "concurrent", "budget-day", "budget-month", "network", "note"),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Rotate(InTap):
    """Make another key with the same limits, and end the old one."""

    key: str = argument("KEY", help="an id of orch tap key ls")
    grace: str = option("--grace", value="TIME", default="0", help="how long the old one still holds (1h, 0)")


@dataclass(frozen=True, kw_only=True)
class Revoke(InTap):
    """End a key, at once and for ever."""

    key: str = argument("KEY", help="an id of orch tap key ls")


_FIELDS = {
    "model": ("models", ()),
    "days": ("expires_at", None),
    "rpm": ("requests_per_minute", None),
    "tpm": ("tokens_per_minute", None),
    "concurrent": ("concurrent", None),
    "budget-day": ("budget_day", None),
    "budget-month": ("budget_month", None),
    "network": ("networks", ()),
    "note": ("note", ""),
}


def add(options: Add, out: Output) -> None:
    """A new key, with its secret."""
    from llama_orch.ledger.books import admin_keys, keys
    from llama_orch.ledger.books.limits import Limits
    from llama_orch.ledger.books.view import shown

    limits = _limits(options)
    if options.admin == (options.account is not None):
        raise UsageError("a key is for an account, or --admin", hint="orch tap key add ACCOUNT")
    with books(options) as book:
        if options.account is None:
            if set(limits) - {"expires_at", "note"}:
                raise UsageError("an admin key takes --days and --note only", hint="orch tap key add --admin")
            made, secret = admin_keys.add(book, limits.get("note", ""), limits.get("expires_at"))
        else:
            made, secret = keys.add(book, options.account, Limits(**limits))
    _tell(shown(made), secret, out)


def ls(options: Ls, out: Output) -> None:
    """The oldest first; no secrets: nobody has them."""
    from llama_orch.ledger.books import admin_keys, keys
    from llama_orch.ledger.books.view import shown

    if options.admin and options.account is not None:
        raise UsageError("the keys of the admin API are of no account", hint="orch tap key ls --admin")
    with books(options) as book:
        found = admin_keys.listing(book) if options.admin else keys.listing(book, options.account)
    shared = {"id": None, "note": None, "created_at": None, "expires_at": None, "revoked_at": None}
    columns = shared if options.admin else {"id": None, "account": None, "models": None, **shared}
    out.table([shown(each) for each in found], columns, key="id", empty="no key: orch tap key add ACCOUNT")


def set_(options: Set, out: Output) -> None:
    """Some limits of one key."""
    from llama_orch.ledger.books import keys
    from llama_orch.ledger.books.view import shown

    changes = {name: value for each in options.clear for name, value in (_FIELDS[each],)} | _limits(options)
    if not changes:
        raise UsageError("nothing to change", hint=f"orch tap key set {options.key} --rpm 60")
    with books(options) as book:
        out.record(for_people(shown(keys.change(book, options.key, changes)), out), key="id")


def rotate(options: Rotate, out: Output) -> None:
    """The new key, with its secret."""
    from llama_orch.ledger.books import keys
    from llama_orch.ledger.books.view import shown
    from llama_orch_utils.config.settings import read_duration

    try:
        grace = read_duration(options.grace)
    except ValueError as error:
        raise UsageError(f"--grace must be {error}, not '{options.grace}'", hint="--grace 1h") from error
    with books(options) as book:
        made, secret = keys.rotate(book, options.key, grace)
    _tell(shown(made), secret, out)


def revoke(options: Revoke, out: Output) -> None:
    """A key of an account, or one of the admin API: their ids begin differently."""
    from llama_orch.ledger.books import admin_keys, keys, token
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        module = admin_keys if options.key.startswith(token.ADMIN) else keys
        out.record(for_people(shown(module.revoke(book, options.key)), out), key="id")


def _limits(options: Limited) -> dict[str, Any]:
    """What was given, as `Limits` names it."""
    given: dict[str, Any] = {
        "models": options.model or None,
        "expires_at": None if options.days is None else time.time() + options.days * _DAY,
        "requests_per_minute": options.rpm,
        "tokens_per_minute": options.tpm,
        "concurrent": options.concurrent,
        "budget_day": None if options.budget_day is None else micro("--budget-day", options.budget_day),
        "budget_month": None if options.budget_month is None else micro("--budget-month", options.budget_month),
        "networks": options.network or None,
        "note": options.note,
    }
    return {name: value for name, value in given.items() if value is not None}


def _tell(row: dict[str, Any], secret: str, out: Output) -> None:
    """The one time that a secret is shown."""
    if out.quiet:
        out.line(secret)
        return
    out.record(for_people({"id": row["id"], "secret": secret, **row}, out), key="id")
    if out.mode == "human":
        out.note("the secret is shown this once; it is kept as a digest")


KEY = Group(
    "tap key",
    "The keys of the accounts, and of the admin API",
    (
        Command(
            "tap key add",
            Add,
            add,
            ("orch tap key add acme", "orch tap key add acme -m gpt-oss --rpm 60 --budget-month 20 --days 90"),
            _KEYS,
        ),
        Command("tap key ls", Ls, ls, ("orch tap key ls acme", "orch tap key ls --admin"), _KEYS),
        Command("tap key set", Set, set_, ("orch tap key set KEY --rpm 120 --clear network",), _KEYS),
        Command("tap key rotate", Rotate, rotate, ("orch tap key rotate KEY --grace 24h",), _KEYS),
        Command("tap key revoke", Revoke, revoke, ("orch tap key revoke KEY",), _KEYS),
    ),
)
