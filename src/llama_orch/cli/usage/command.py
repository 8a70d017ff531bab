# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch usage`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils import UsageReport, UsageRow

_KEYS = {
    "target": "where it was used",
    "group_by": "day, model or key",
    "start": "the first day, as YYYY-MM-DD (UTC)",
    "end": "the last day",
    "currency": "EUR",
    "rows": "name (the day, model or key), requests, input_tokens, cached_tokens, output_tokens, cost (micro-euros)",
    "total": "the same, summed",
}
_BAR = 24


@dataclass(frozen=True, kw_only=True)
class Show(Printing):
    """Show what was used at a tap, and what it cost."""

    target: str | None = option(
        "-t", "--target", value="TARGET", complete="target", help="a tap; the target in use, if left out"
    )
    days: int = option("--days", value="N", kind=int, default=30, bounds=(1, 3660), help="so many days, today included")
    by: Literal["day", "model", "key"] = option(
        "--by", value="WHAT", default="day", choices=("day", "model", "key"), help="a row for each day, model or key"
    )


def show(options: Show, out: Output) -> None:
    """The table, with a bar for each row's cost."""
    from llama_orch_utils import Client

    with Client(options.target) as client:
        report = client.usage(options.days, group_by=options.by)
        target = client.target
    if out.mode == "human":
        _tell(report, out)
    else:
        out.record({"target": target, **report.to_dict()}, key="target")


def _tell(report: UsageReport, out: Output) -> None:
    most = max((row.cost for row in report.rows), default=0)
    rows = [_row(row, report, most) for row in report.rows]
    columns = dict.fromkeys((report.group_by, "requests", "in", "cached", "out", "cost", ""))
    out.table(rows, columns, key=report.group_by, empty=f"nothing was used from {report.start} to {report.end}")
    if rows:
        from llama_orch_utils.money import display

        total = report.total
        tokens = f"{total.input_tokens:,} tokens in, {total.output_tokens:,} out"
        out.note(f"{total.requests:,} requests, {tokens}: {display(total.cost, report.currency)}")


def _row(row: UsageRow, report: UsageReport, most: int) -> dict[str, object]:
    from llama_orch_utils.money import display

    return {
        report.group_by: row.name,
        "requests": f"{row.requests:,}",
        "in": f"{row.input_tokens:,}",
        "cached": f"{row.cached_tokens:,}",
        "out": f"{row.output_tokens:,}",
        "cost": display(row.cost, report.currency),
        "": "█" * -(-row.cost * _BAR // most) if most else "",
    }


USAGE = Command("usage", Show, show, ("orch usage", "orch usage --by model --days 7", "orch usage --json"), _KEYS)
