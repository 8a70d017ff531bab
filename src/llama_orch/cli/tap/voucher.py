# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap voucher add | ls | redeem | revoke`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, option
from llama_orch.cli.tap.opening import InTap, books, euros, for_people, micro

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_KEYS = {
    "id": "the voucher",
    "code": "what is redeemed; shown this once (add)",
    "amount": "micro-euros",
    "days": "how long its grant lives, or null: twelve months",
    "created_at": "when it was made",
    "expires_at": "until when it can be redeemed, or null",
    "redeemed_by": "the account that did, or null",
    "redeemed_at": "when, or null",
    "grant_id": "the grant that it became, or null",
    "note": "the operator's own words",
    "actor": "who made it",
}


@dataclass(frozen=True, kw_only=True)
class Add(InTap):
    """Make a voucher; its code is shown this once.

    A client redeems it for its account by POST /v1/vouchers, or you do with orch tap voucher redeem.
    """

    eur: str | None = option("--eur", value="N", help="what it is worth, in euros")
    days: int | None = option(
        "--days", value="N", kind=int, bounds=(1, 36_525), help="how long its grant lives; twelve months, if left out"
    )
    valid_days: int | None = option(
        "--valid-days",
        value="N",
        kind=int,
        bounds=(1, 36_525),
        help="how long it can be redeemed; for ever, if left out",
    )
    note: str | None = option("--note", value="TEXT", help="your own words about it")


@dataclass(frozen=True, kw_only=True)
class Ls(InTap):
    """List the vouchers and who redeemed them."""


@dataclass(frozen=True, kw_only=True)
class Redeem(InTap):
    """Redeem a voucher for an account. The code comes from standard input, or is asked for."""

    account: str = argument("ACCOUNT", help="an id or a name of orch tap account ls")


@dataclass(frozen=True, kw_only=True)
class Revoke(InTap):
    """Make a voucher worthless, unless it was redeemed."""

    voucher: str = argument("VOUCHER", help="an id of orch tap voucher ls")


def add(options: Add, out: Output) -> None:
    """A new voucher, with its code."""
    from llama_orch.ledger.books import vouchers
    from llama_orch.ledger.books.view import shown

    if options.eur is None:
        raise UsageError("--eur is missing", hint="orch tap voucher add --eur 10")
    amount = micro("--eur", options.eur)
    with books(options) as book:
        made, code = vouchers.add(
            book, amount, days=options.days, valid_days=options.valid_days, note=options.note or ""
        )
    if out.quiet:
        out.line(code)
        return
    row = shown(made)
    out.record(for_people({"id": row["id"], "code": code, **row}, out), key="id")
    if out.mode == "human":
        out.note("the code is shown this once; it is kept as a digest")


def ls(options: Ls, out: Output) -> None:
    """The newest first; no codes: nobody has them."""
    from llama_orch.ledger.books import vouchers
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        rows = [shown(each) for each in vouchers.listing(book)]
    columns = {"id": None, "amount": euros, "expires_at": None, "redeemed_by": None, "redeemed_at": None, "note": None}
    out.table(rows, columns, key="id", empty="no voucher: orch tap voucher add --eur 10")


def redeem(options: Redeem, out: Output) -> None:
    """The grant that it becomes."""
    from llama_orch.ledger.books import vouchers
    from llama_orch.ledger.books.view import shown

    code = _code()
    with books(options) as book:
        out.record(for_people(shown(vouchers.redeem(book, code, options.account)), out), key="id")


def revoke(options: Revoke, out: Output) -> None:
    """One voucher."""
    from llama_orch.ledger.books import vouchers
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        out.record(for_people(shown(vouchers.revoke(book, options.voucher)), out), key="id")


def _code() -> str:
    """A code is money: it stays out of the shell's history."""
    import getpass
    import sys

    code = getpass.getpass("code: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not code.strip():
        raise UsageError("no code was given", hint="echo CODE | orch tap voucher redeem ACCOUNT")
    return code


VOUCHER = Group(
    "tap voucher",
    "Codes that become credits",
    (
        Command("tap voucher add", Add, add, ("orch tap voucher add --eur 10 --valid-days 90",), _KEYS),
        Command("tap voucher ls", Ls, ls, ("orch tap voucher ls",), _KEYS),
        Command("tap voucher redeem", Redeem, redeem, ("orch tap voucher redeem acme",),
                {"id": "the grant", "amount": "micro-euros", "expires_at": "when what is left of it ends"}),
        Command("tap voucher revoke", Revoke, revoke, ("orch tap voucher revoke VOUCHER",), _KEYS),
    ),
)  # fmt: skip
