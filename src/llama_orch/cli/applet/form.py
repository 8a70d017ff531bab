# SPDX-License-Identifier: GPL-3.0-or-later
"""An applet's input schema as the options and arguments of a command.

A document is an argument (a FILE, or `-`), a field marked so is an argument of words; everything else is an option of
its name. An applet without arguments takes a file of rows in their place: `orch triage tickets.csv`.
"""

from __future__ import annotations

from dataclasses import dataclass, make_dataclass
from typing import TYPE_CHECKING, Any, cast

from llama_orch.cli.command import Command
from llama_orch.cli.options import APPLETS_OWN, argument, flag, option, options_of
from llama_orch.cli.run.asking import Reaching
from llama_orch_utils.applets.inputs import InputField, fields_of
from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets.schema import Runnable

# Input fields are told from the common ones by it.
PREFIX = APPLETS_OWN
SOURCE = "CSV, JSONL (a row each) or a folder (a document each): run it for all of them"
Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Batching(Reaching):
    """What every applet's command takes."""

    batch: str | None = option("--batch", value="SOURCE", help=SOURCE, complete="file")
    output: str | None = option("--output", value="PATH", help="where a batch's result goes (beside SOURCE)")
    concurrency: int = option(
        "--concurrency", value="N", kind=int, bounds=(1, 256), default=4, help="rows of a batch that run at once"
    )
    dry_run: bool = flag("--dry-run", help="a batch: say what it would cost, and ask nothing")
    fresh: bool = flag("--fresh", help="a batch: begin again, also where an earlier run was broken off")
    raw_cells: bool = flag("--raw-cells", help="a batch: write cells as they are, also what a spreadsheet would run")
    json: bool = flag("--json", help="print the whole result as one line of JSON")


def declare(each: InputField) -> Any:
    """The field of the options record."""
    words, name = each.words, each.name.replace("_", "-")
    flags, value = f"--{name}", name.upper()
    match each.kind:
        case "document":
            words = f"{words}; a file, or - for standard input"
            return argument("FILE", help=words, required=False, complete="file")
        case "argument":
            return argument(value, help=words, required=False)
        case "flag":
            return flag(flags, help=words)
        case "list":
            return option(flags, help=words, value=value, kind=each.plain, many=True)
        case "json":
            return option(flags, help=f"{words}; as JSON, or @FILE", value="JSON")
        case "path":
            return option(flags, help=words, value="PATH", complete="file")
        case _:
            default = each.shape.get("default")
            words = words if default in (None, "") else f"{words} (default {default})"
            return option(flags, help=words, value=value, kind=each.plain, choices=each.choices)


def command_of(applet: Runnable) -> Command[Any]:
    """The command `orch ID`. Raises AppletError where an input takes the name of a common option."""
    taken = {each for declared in options_of(Batching) for each in declared.flags} | {"--help"}
    found = fields_of(applet)
    for each in found:
        if f"--{each.name.replace('_', '-')}" in taken and not each.by_place:
            raise AppletError(
                f"applet {applet.id} calls an input --{each.name}, which every applet has already",
                hint="orch applet ls",
            )
    declared: list[tuple[str, Any, Any]] = [(PREFIX + each.name, Any, declare(each)) for each in found]
    if not any(each.by_place for each in found):
        declared.insert(0, ("source", Any, argument("SOURCE", help=SOURCE, required=False, complete="file")))
    record = make_dataclass(applet.id.replace("-", "_"), declared, bases=(Batching,), frozen=True, kw_only=True)
    record.__doc__ = f"{applet.manifest.summary}."

    def run(options: Any, out: Output) -> int | None:
        from llama_orch.cli.applet.run import run_applet

        return run_applet(applet, options, out)

    outputs = cast("Json", applet.schema()["output"]).get("properties", {})
    prints = {name: str(each.get("description") or name.replace("_", " ")) for name, each in outputs.items()}
    return Command(applet.id, record, run, prints=prints)
