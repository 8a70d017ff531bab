# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap usage`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from llama_orch.cli.command import Command
from llama_orch.cli.options import argument, option
from llama_orch.cli.tap.opening import InTap, books, euros

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.ledger.books.usage import GroupBy

_GROUPS = ("day", "model", "key", "account")


@dataclass(frozen=True, kw_only=True)
class Usage(InTap):
    """Show what was used and what it cost, over all accounts or of one."""

    account: str | None = argument("ACCOUNT", help="of this account only", required=False)
    start: str | None = option("--from", value="DAY", help="from this day on, such as 2026-11-01 (UTC)")
    end: str | None = option("--to", value="DAY", help="up to this day, itself included")
    group_by: str = option("--group-by", value="WHAT", default="day", choices=_GROUPS, help="what a line is")


def usage(options: Usage, out: Output) -> None:
    """A line per group."""
    from llama_orch.ledger.books import usage as views
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        found = views.lines(
            book, options.account, start=options.start, end=options.end, group_by=cast("GroupBy", options.group_by)
        )
    columns = {
        "group": None, "requests": None, "prompt_tokens": None, "cached_tokens": None, "output_tokens": None,
        "cost": euros,
    }  # fmt: skip
    out.table([shown(each) for each in found], columns, key="group", empty="nothing was used")


USAGE = Command(
    "tap usage",
    Usage,
    usage,
    ("orch tap usage", "orch tap usage acme --from 2026-11-01 --group-by model --json"),
    {
        "group": "the day, the model, the key or the account",
        "requests": "how many",
        "prompt_tokens": "tokens in, cached ones included",
        "cached_tokens": "of these, from the cache",
        "output_tokens": "tokens out",
        "embedding_tokens": "tokens embedded",
        "gpu_microseconds": "time on a GPU",
        "cost": "micro-euros",
    },
)
