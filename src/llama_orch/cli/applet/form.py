# SPDX-License-Identifier: GPL-3.0-or-later
"""An applet's inputs as the options and arguments of a command.

A document is an argument (a file, or `-`), and so is a required text; everything else is an option of its name.
"""

from __future__ import annotations

from dataclasses import fields, make_dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.cli.command import Command
from llama_orch.cli.options import Common, argument, flag, option, options_of
from llama_orch.cli.run.asking import Reaching
from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets import Applet, Input

# Input fields are told from the common ones by it.
PREFIX = "input_"
_KINDS: dict[str, type[int | float | str]] = {"integer": int, "number": float}
_JSON = ("json", bool, flag("--json", help="print the whole result as one line of JSON"))


def command_of(applet: Applet) -> Command[Any]:
    """The command `orch NAME`. Raises AppletError where an input takes the name of a common option."""
    taken = {each for declared in options_of(Reaching) for each in declared.flags} | {"--json", "--help", "--color"}
    declared: list[tuple[str, Any, Any]] = []
    for each in applet.inputs:
        if f"--{each.name}" in taken and not is_argument(each):
            raise AppletError(
                f"applet {applet.name} calls an input --{each.name}, which every applet has already",
                hint="orch applet ls",
            )
        declared.append((PREFIX + each.name.replace("-", "_"), Any, _declare(each)))
    record = make_dataclass(applet.name, [*declared, _JSON], bases=(Reaching,), frozen=True, kw_only=True)
    record.__doc__ = applet.help

    def run(options: Any, out: Output) -> int | None:
        from llama_orch.cli.applet.run import run_applet

        return run_applet(applet, options, out)

    return Command(applet.name, record, run, prints={"applet": "its name", "text": "what it made"})


def is_argument(declared: Input) -> bool:
    """Whether it is given by its place instead of by its name."""
    return declared.kind == "document" or (declared.kind == "text" and declared.required)


def given(applet: Applet, options: Common) -> dict[str, Any]:
    """What the command line gave, by the names of the inputs; documents still as the names of files."""
    known = {each.name for each in fields(options)}
    values = {each.name: PREFIX + each.name.replace("-", "_") for each in applet.inputs}
    return {name: getattr(options, field) for name, field in values.items() if field in known}


def _declare(declared: Input) -> Any:
    if declared.kind == "document":
        words = f"{declared.help}; a file, or - for standard input"
        return argument("FILE", help=words, required=False, complete="file")
    if is_argument(declared):
        return argument(declared.name.upper(), help=declared.help)
    if declared.kind == "flag":
        return flag(f"--{declared.name}", help=declared.help)
    return option(
        f"--{declared.name}",
        help=declared.help,
        default=declared.default,
        value=declared.name.upper(),
        kind=_KINDS.get(declared.kind, str),
        choices=declared.choices,
    )
