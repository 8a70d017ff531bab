# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap account add | ls | show | pause | resume`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.options import argument, option
from llama_orch.cli.tap.opening import InTap, books, euros, for_people

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_KEYS = {
    "id": "what the other commands take",
    "name": "its name, which they take as well",
    "created_at": "when it was made",
    "paused": "whether the operator stopped it; at 0 it pauses by itself",
    "note": "the operator's own words",
    "currency": "EUR",
    "balance": "micro-euros that it can spend",
    "reserved": "micro-euros that running requests hold",
}
_GRANTS = {"grants": "its grants, the newest first (show)"}


@dataclass(frozen=True, kw_only=True)
class Add(InTap):
    """Make an account; it pays for its keys."""

    name: str = argument("NAME", help="what to call it")
    note: str | None = option("--note", value="TEXT", help="your own words about it")


@dataclass(frozen=True, kw_only=True)
class Ls(InTap):
    """List the accounts and what is left of their credits."""


@dataclass(frozen=True, kw_only=True)
class Show(InTap):
    """Show an account and its grants."""

    account: str = argument("ACCOUNT", help="an id or a name of orch tap account ls")


@dataclass(frozen=True, kw_only=True)
class Pause(InTap):
    """Stop the requests of an account, at once; its credits stay."""

    account: str = argument("ACCOUNT", help="an id or a name of orch tap account ls")


@dataclass(frozen=True, kw_only=True)
class Resume(InTap):
    """Let a paused account go on."""

    account: str = argument("ACCOUNT", help="an id or a name of orch tap account ls")


def add(options: Add, out: Output) -> None:
    """A new account."""
    from llama_orch.ledger.books import accounts
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        made = shown(accounts.add(book, options.name, options.note or ""))
    out.record(for_people(made, out), key="id")
    if out.mode == "human":
        out.note(f"next: orch tap key add {made['id']}")


def ls(options: Ls, out: Output) -> None:
    """By name."""
    from llama_orch.ledger.books import accounts
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        rows = [shown(each) for each in accounts.listing(book)]
    columns = {"id": None, "name": None, "balance": euros, "reserved": euros, "paused": None}
    out.table(rows, columns, key="id", empty="no account: orch tap account add NAME")


def show(options: Show, out: Output) -> None:
    """One account; for people a line per grant."""
    from llama_orch.ledger.books import accounts, grants
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        found = accounts.show(book, options.account)
        held = [shown(each) for each in grants.listing(book, found.id)]
    if out.mode != "human":
        out.record({**shown(found), "grants": held}, key="id")
        return
    out.record(for_people(shown(found), out), key="id")
    out.line("")
    columns = {"id": None, "kind": None, "amount": euros, "remaining": euros, "expires_at": None, "reason": None}
    out.table(held, columns, key="id", empty=f"no grant: orch tap grant {found.id} --eur 10")


def pause(options: Pause, out: Output) -> None:
    """Holds at once in every gateway process."""
    _turn(options, options.account, out, paused=True)


def resume(options: Resume, out: Output) -> None:
    """The same the other way round."""
    _turn(options, options.account, out, paused=False)


def _turn(options: InTap, account: str, out: Output, *, paused: bool) -> None:
    from llama_orch.ledger.books import accounts
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        out.record(for_people(shown(accounts.pause(book, account, paused=paused)), out), key="id")


ACCOUNT = Group(
    "tap account",
    "Who pays",
    (
        Command("tap account add", Add, add, ("orch tap account add acme",), _KEYS),
        Command("tap account ls", Ls, ls, ("orch tap account ls --json",), _KEYS),
        Command("tap account show", Show, show, ("orch tap account show acme",), {**_KEYS, **_GRANTS}),
        Command("tap account pause", Pause, pause, ("orch tap account pause acme",), _KEYS),
        Command("tap account resume", Resume, resume, ("orch tap account resume acme",), _KEYS),
    ),
)
