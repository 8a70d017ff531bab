# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap price set | ls`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, flag, option
from llama_orch.cli.tap.opening import InTap, books

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_COLUMNS = ("model", "input", "cached", "output", "embeddings", "gpu_second", "starts_at")
_KEYS = {
    "id": "the version; it never changes",
    "model": "what it is for; * is every model without a price of its own",
    "input": "micro-euros per 1M tokens of the prompt",
    "cached": "the same for those that were in the cache",
    "output": "the same for those that were generated",
    "embeddings": "the same for those that were embedded",
    "gpu_second": "micro-euros per GPU-second",
    "starts_at": "from when it holds",
    "created_at": "when it was set",
    "actor": "who set it",
    "current": "whether it holds now",
}


@dataclass(frozen=True, kw_only=True)
class Set(InTap):
    """Set what a model costs, from now on.

    Amounts are whole micro-euros: 1200000 is EUR 1.20 per 1M tokens. Each is a version of its own; what was charged by
    an older one stays so. The model '*' stands for every model without a price.
    """

    model: str = argument("MODEL", help="what clients ask for, or '*'")
    input: int | None = option("--input", value="N", kind=int, bounds=(0, None), help="per 1M tokens of the prompt")
    output: int | None = option("--output", value="N", kind=int, bounds=(0, None), help="per 1M tokens generated")
    cached: int | None = option(
        "--cached", value="N", kind=int, bounds=(0, None), help="per 1M tokens of the prompt that were cached (--input)"
    )
    embeddings: int | None = option(
        "--embeddings", value="N", kind=int, bounds=(0, None), help="per 1M tokens embedded (--input)"
    )
    gpu_second: int | None = option(
        "--gpu-second", value="N", kind=int, bounds=(0, None), help="per GPU-second, for a private tap"
    )


@dataclass(frozen=True, kw_only=True)
class Ls(InTap):
    """List the prices that hold."""

    history: bool = flag("--history", help="every version that ever held")


def set_(options: Set, out: Output) -> None:
    """A new version; the same amounts again change nothing."""
    if options.gpu_second is None and (options.input is None or options.output is None):
        raise UsageError(
            "a price needs --input and --output, or --gpu-second",
            hint=f"orch tap price set {options.model} --input 1200000 --output 1200000",
        )
    from llama_orch.ledger.books import prices
    from llama_orch.ledger.books.view import shown

    figures = prices.Figures(
        input=options.input or 0,
        output=options.output or 0,
        cached=options.cached,
        embeddings=options.embeddings,
        gpu_second=options.gpu_second or 0,
    )
    with books(options) as book:
        made = prices.add(book, options.model, figures)
    out.record(shown(made), key="id")


def ls(options: Ls, out: Output) -> None:
    """By model."""
    from llama_orch.ledger.books import prices
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        rows = [shown(each) for each in prices.listing(book, history=options.history)]
    columns: dict[str, None] = dict.fromkeys(_COLUMNS)
    out.table(rows, columns, key="id", empty="no price: nobody can ask yet")


PRICE = Group(
    "tap price",
    "What the models cost",
    (
        Command(
            "tap price set",
            Set,
            set_,
            (
                "orch tap price set gpt-oss --input 1200000 --output 1200000 --cached 300000",
                "orch tap price set '*' --gpu-second 1056",
            ),
            _KEYS,
        ),
        Command("tap price ls", Ls, ls, ("orch tap price ls --history",), _KEYS),
    ),
)
