# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap pack set | ls | rm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, flag, option
from llama_orch.cli.tap.opening import InTap, books, euros, for_people, micro

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_KEYS = {
    "id": "the pack",
    "name": "what a purchase names",
    "amount": "micro-euros of credit; 0 where it gives GPU-hours",
    "price": "micro-euros to pay",
    "days": "how long its grant lives, or null: twelve months",
    "gpu_seconds": "the GPU-seconds that it gives, or null",
    "scope": "what its grant pays for; nothing: everything",
    "active": "whether it is for sale",
    "created_at": "when it was made",
}


@dataclass(frozen=True, kw_only=True)
class Set(InTap):
    """Put a pack on sale, or change the one of that name; what was sold stays as it was.

    A pack of GPU-hours gives credits at the rate that holds when it is sold.
    """

    name: str = argument("NAME", help="what to call it")
    eur: str | None = option("--eur", value="N", help="what it costs, in euros")
    credit: str | None = option("--credit", value="N", help="what it gives, in euros; as much as it costs, if left out")
    gpu_hours: int | None = option("--gpu-hours", value="N", kind=int, bounds=(1, None), help="GPU-hours, instead")
    gpu: str | None = option("--gpu", value="NAME", help="for this kind of GPU only")
    days: int | None = option("--days", value="N", kind=int, bounds=(1, 36_525), help="how long its grant lives")


@dataclass(frozen=True, kw_only=True)
class Ls(InTap):
    """List the packs that are for sale."""

    all: bool = flag("--all", help="also those that were")


@dataclass(frozen=True, kw_only=True)
class Rm(InTap):
    """Take a pack off sale."""

    name: str = argument("NAME", help="a name of orch tap pack ls")


def set_(options: Set, out: Output) -> None:
    """One pack."""
    from llama_orch.ledger.books import packs
    from llama_orch.ledger.books.view import shown

    if options.eur is None:
        raise UsageError("--eur is missing: what the pack costs", hint=f"orch tap pack set {options.name} --eur 50")
    offer = packs.Offer(
        name=options.name,
        price=micro("--eur", options.eur),
        amount=None if options.credit is None else micro("--credit", options.credit),
        days=options.days,
        gpu_hours=options.gpu_hours,
        gpu=options.gpu or "",
    )
    with books(options) as book:
        out.record(for_people(shown(packs.put(book, offer)), out), key="id")


def ls(options: Ls, out: Output) -> None:
    """The cheapest first."""
    from llama_orch.ledger.books import packs
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        rows = [shown(each) for each in packs.listing(book, all_=options.all)]
    columns = {"name": None, "price": euros, "amount": euros, "gpu_seconds": None, "scope": None, "days": None}
    out.table(rows, columns, key="name", empty="no pack: orch tap pack set NAME --eur 50")


def rm(options: Rm, out: Output) -> None:
    """One pack."""
    from llama_orch.ledger.books import packs
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        out.record(for_people(shown(packs.withdraw(book, options.name)), out), key="id")


PACK = Group(
    "tap pack",
    "What is for sale",
    (
        Command(
            "tap pack set",
            Set,
            set_,
            ("orch tap pack set Team --eur 1000 --credit 1100", "orch tap pack set H100-100 --eur 350 --gpu-hours 100"),
            _KEYS,
        ),
        Command("tap pack ls", Ls, ls, ("orch tap pack ls",), _KEYS),
        Command("tap pack rm", Rm, rm, ("orch tap pack rm Team",), _KEYS),
    ),
)
