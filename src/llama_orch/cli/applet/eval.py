# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet eval ID`: how well an applet does at one target, or at several side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, flag, option
from llama_orch.cli.run.asking import Reaching

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets.evaluate import Case, Report
    from llama_orch_utils.applets.schema import Runnable

_PRINTS = {
    "applet": "the applet's id",
    "cases": "how many cases its evaluation set has",
    "targets": "one entry per target, in the order that they were given",
    "targets[].target": "its name",
    "targets[].model": "the model that answered, or null where the target does not tell",
    "targets[].score": "the share of the checks that held, 0 to 1",
    "targets[].checks": "how many checks there were",
    "targets[].right": "how many held",
    "targets[].errors": "the cases that gave an error instead of an output",
    "targets[].seconds": "how long they took together",
    "targets[].cost": "micro-euros",
    "targets[].cases": "each case: name, checks, right, wrong (in words), error, seconds, cost",
}


@dataclass(frozen=True, kw_only=True)
class Eval(Reaching):
    """Score an applet on its evaluation set, at one target or several.

    Each case is an input and what to expect of the output. Wrong and missing outputs lower the score; the exit status
    tells only whether the cases could be run.
    """

    id: str = argument("ID", help="an applet, as orch applet ls lists it", complete="applet")
    targets: tuple[str, ...] = option(
        "--target", value="TARGET", many=True, complete="target", help="a target; give several to compare them"
    )
    cases: str | None = option("--set", value="FILE", help="your own evaluation set (JSON Lines)", complete="file")
    most: int | None = option("--first", value="N", kind=int, bounds=(1, None), help="only the first N cases")
    json: bool = flag("--json", help="print JSON with stable keys")
    target: str | None = None  # pyright: ignore[reportIncompatibleVariableOverride] - `targets` stands for it


def evaluate(options: Eval, out: Output) -> None:
    """One report per target, then the comparison."""
    from llama_orch.cli.applet.command import chosen

    if options.quiet:
        out.mode = "quiet"
    if len(set(options.targets)) != len(options.targets):
        raise UsageError("a target is given twice", hint=f"orch applet eval {options.id} --target A --target B")
    applet = chosen((options.id,), out)[0]
    cases = _cases(applet, options)
    reports = [_at(applet, cases, replace(options, target=each), out) for each in options.targets or (None,)]
    if options.json:
        out.data(_data(applet, cases, reports))
    else:
        _show(reports, out)


def _cases(applet: Runnable, options: Eval) -> list[Case]:
    from llama_orch.cli.run.prompt import read_file
    from llama_orch_utils.applets.evaluate import own_cases, read_cases

    if options.cases is None:
        found = own_cases(applet)
    else:
        found = list(read_cases(read_file(options.cases), Path(options.cases).name))
    if not found:
        raise UsageError(f"{options.cases} holds no case", hint='{"input": {…}, "expect": {…}} on each line')
    return found[: options.most]


def _at(applet: Runnable, cases: list[Case], options: Eval, out: Output) -> Report:
    from llama_orch.cli.applet.progress import Steps
    from llama_orch.cli.run.connection import connect
    from llama_orch_utils.applets.evaluate import evaluate as run
    from llama_orch_utils.money import micro_euros

    connection = connect(options, out)
    most = None if options.max_cost is None else micro_euros(options.max_cost)
    with connection.client, Steps(out) as steps:
        try:
            return run(applet, cases, connection.client, max_cost=most, progress=steps.show)
        finally:
            connection.loading.clear()


def _data(applet: Runnable, cases: list[Case], reports: list[Report]) -> dict[str, Any]:
    from dataclasses import asdict

    rows = [
        {
            "target": each.target, "model": each.model, "score": round(each.score, 4), "checks": each.checks,
            "right": each.right, "errors": each.errors, "seconds": round(each.seconds, 3), "cost": each.cost,
            "cases": [asdict(case) for case in each.cases],
        }
        for each in reports
    ]  # fmt: skip
    return {"applet": applet.id, "cases": len(cases), "targets": rows}


def _show(reports: list[Report], out: Output) -> None:
    """The targets side by side; what was wrong goes to stderr."""
    from llama_orch_utils.money import display

    for report in reports:
        for case in report.cases:
            for words in [case.error] if case.error is not None else case.wrong:
                out.note(f"{report.target}: {case.name}: {words}")
    rows = [
        {
            "target": each.target,
            "model": each.model or "",
            "score": f"{each.score:.0%}",
            "right": f"{each.right}/{each.checks}",
            "errors": str(each.errors),
            "seconds": f"{each.seconds / max(len(each.cases), 1):.2f}",
            "cost": display(each.cost) if each.cost else "",
        }
        for each in reports
    ]
    out.table(rows, dict.fromkeys(rows[0]), key="target", empty="no target")


EVAL = Command(
    "applet eval",
    Eval,
    evaluate,
    ("orch applet eval triage", "orch applet eval triage --target local --target public"),
    _PRINTS,
)
