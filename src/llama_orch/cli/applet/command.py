# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet ls | run`, and `orch NAME`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Common, Printing, argument

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_KEYS = {
    "name": "what orch NAME takes",
    "help": "what it does",
    "package": "the distribution that brings it",
    "error": "why it cannot be used, or null",
}


@dataclass(frozen=True, kw_only=True)
class Ls(Printing):
    """List the applets that are installed."""


@dataclass(frozen=True, kw_only=True)
class Run(Common):
    """Run an applet: the same as orch NAME.

    Its own options go behind --: orch applet run summarize -- report.txt --length short
    """

    name: str = argument("NAME", help="an applet, as orch applet ls lists it", complete="applet")
    words: tuple[str, ...] = argument("WORD", help="its inputs", required=False, many=True)


def ls(_options: Ls, out: Output) -> None:
    """Every applet; a broken one is a warning, and in the JSON."""
    from llama_orch.cli.completion.names import remember
    from llama_orch_utils import applets

    found = list(applets.discover())
    remember(applets=[each.name for each in found if each.applet is not None])
    for each in found:
        if each.error is not None:
            out.warn(f"{each.error.message}; {each.error.hint}")
    rows = [
        {
            "name": each.name,
            "help": each.applet.help if each.applet is not None else "",
            "package": each.package,
            "error": each.error.message if each.error is not None else None,
        }
        for each in found
        if out.json or each.applet is not None
    ]
    out.table(rows, {"name": None, "help": None, "package": None}, key="name", empty="no applets are installed")


def run(options: Run, out: Output) -> int | None:
    """Run one by name."""
    from llama_orch.cli.page import command_page
    from llama_orch.cli.parse import parse

    command = find(options.name, out)
    if command is None:
        from llama_orch.cli.suggest import nearest

        near = nearest(options.name, names())
        meant = f"; did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"there is no applet '{options.name}'{meant}", hint="orch applet ls")
    record = parse(command, options.words)
    if record is None:
        out.write(command_page(command))
        return 0
    return command.run(record, out)


def find(word: str, out: Output) -> Command[Any] | None:
    """The applet of that name as a command, or None. Raises AppletError for a broken one."""
    _ = out
    from llama_orch_utils import applets

    found = applets.load(word)
    if found is None:
        return None
    if found.applet is None:
        raise found.error or AssertionError(word)
    from llama_orch.cli.applet.form import command_of

    return command_of(found.applet)


def names() -> tuple[str, ...]:
    """The names of the applets that are installed."""
    from llama_orch_utils import applets

    return applets.names()


APPLET = Group(
    "applet",
    "Ready-made programs on top of a model",
    (
        Command("applet ls", Ls, ls, ("orch applet ls",), _KEYS),
        Command("applet run", Run, run, ("orch applet run summarize -- report.txt --length short",)),
    ),
    default="ls",
)
