# SPDX-License-Identifier: GPL-3.0-or-later
"""An applet's run for every row of a file or every document of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch.cli.applet.progress import Steps
from llama_orch.cli.applet.run import given
from llama_orch.cli.run.connection import DEMO_NOTICE, connect
from llama_orch_utils.money import display

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets.batch import Batch, Report, Standing
    from llama_orch_utils.applets.schema import Runnable
    from llama_orch_utils.client.blocking import Client

_FAILED = 1
_MINUTE, _HOUR = 60, 3600


def run_rows(applet: Runnable, source: str, options: Any, out: Output) -> int | None:
    """Runs the batch, or only says what it would cost. 1 where a row failed; raises what ended it early."""
    from llama_orch_utils.applets.batch import Batch

    batch = Batch(
        applet,
        Path(source),
        Path(options.output) if options.output else None,
        given(applet, options, single=False),
        options.concurrency,
        fresh=options.fresh,
        raw_cells=options.raw_cells,
    )
    connection = connect(options, out)
    with connection.client:
        try:
            if options.dry_run:
                return _dry(batch, connection.client, options, out)
            if connection.demo:
                out.note(DEMO_NOTICE)
            return _run(batch, connection.client, options, out)
        finally:
            connection.loading.clear()


def _run(batch: Batch, client: Client, options: Any, out: Output) -> int | None:
    from llama_orch_utils.applets.batch import run_batch

    with Steps(out) as steps:

        def show(standing: Standing) -> None:
            if steps.due(last=standing.done == standing.total):
                steps.say(line_of(standing))

        report = run_batch(batch, client, show)
    if options.json:
        out.data(_told(report), compact=True)
    elif out.quiet:
        out.line(str(report.output))
    else:
        out.note(f"{summary_of(report)}; {report.output}")
    if report.stopped is not None:
        left = report.rows - report.done
        report.stopped.message += f" ({left} of {report.rows} rows are left; the same command goes on with them)"
        raise report.stopped
    return _FAILED if report.failed else None


def line_of(standing: Standing) -> str:
    """One line of progress."""
    parts = [f"{standing.done} of {standing.total}"]
    if standing.failed:
        parts.append(f"{standing.failed} failed")
    parts += [f"{standing.rate:.1f}/s", f"{duration(standing.seconds_left)} left"]
    if standing.cost:
        parts.append(f"{display(standing.cost)} spent, about {display(standing.cost_left)} to go")
    return ", ".join(parts)


def summary_of(report: Report) -> str:
    """How it ended, in words."""
    words = f"{report.done - report.failed} of {report.rows} rows done"
    words += f", {report.failed} failed" if report.failed else ""
    words += f", {report.kept} of them by an earlier run" if report.kept else ""
    return words + (f", {display(report.cost)}" if report.cost else "")


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"


def _told(report: Report) -> dict[str, object]:
    return {
        "rows": report.rows,
        "done": report.done,
        "failed": report.failed,
        "kept": report.kept,
        "cost": report.cost,
        "output": str(report.output),
        "stopped": report.stopped.code if report.stopped is not None else None,
    }


def _dry(batch: Batch, client: Client, options: Any, out: Output) -> None:
    from llama_orch_utils.applets.batch import estimate

    found = estimate(batch, client)
    if options.json:
        told = {name: getattr(found, name) for name in found.__slots__}
        out.data(told, compact=True)
        return
    broken = f" ({found.broken} broken)" if found.broken else ""
    out.line(f"{found.rows} rows{broken}, about {found.input_tokens} tokens in and {found.output_tokens} out")
    if found.cost is not None:
        most = f", never more than {display(found.most)}" if found.most is not None else ""
        out.line(f"about {display(found.cost)}{most}")
    else:
        out.line("the target tells no prices: nothing is charged, or nobody knows what")
