# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet ls | schema | run | mcp`, and `orch NAME`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_orch.cli.applet.eval import EVAL
from llama_orch.cli.applet.install import INSTALL, RM, UPGRADE, VERIFY
from llama_orch.cli.applet.ls import LS
from llama_orch.cli.applet.new import NEW
from llama_orch.cli.applet.pack import PACK
from llama_orch.cli.applet.test import TEST
from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Common, Printing, argument, option
from llama_orch.cli.run.asking import Reaching

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.applets.discovery import Found
    from llama_orch_utils.applets.schema import Runnable


@dataclass(frozen=True, kw_only=True)
class Schema(Printing):
    """Print what applets take and give, as JSON Schema.

    All applets, or those that are named.
    """

    names: tuple[str, ...] = argument("ID", help="an applet", required=False, many=True, complete="applet")


@dataclass(frozen=True, kw_only=True)
class Mcp(Reaching):
    """Serve applets to agents as tools (MCP).

    All applets, or those that are named; over standard input and output, or at http://127.0.0.1:PORT/mcp with --port.
    """

    names: tuple[str, ...] = argument("ID", help="an applet", required=False, many=True, complete="applet")
    port: int | None = option("--port", value="PORT", kind=int, bounds=(0, 65535), help="streamable HTTP at this port")
    host: str = option(
        "--host", value="HOST", choices=("127.0.0.1", "::1", "localhost"), default="127.0.0.1", help="with --port"
    )
    folder: tuple[str, ...] = option("--folder", value="FOLDER", many=True, help="a folder that applets may read")


@dataclass(frozen=True, kw_only=True)
class Run(Common):
    """Run an applet: the same as orch NAME.

    Its own options go behind --: orch applet run summarize -- report.txt --length short
    """

    name: str = argument("NAME", help="an applet, as orch applet ls lists it", complete="applet")
    words: tuple[str, ...] = argument("WORD", help="its inputs", required=False, many=True)


def run(options: Run, out: Output) -> int | None:
    """Run one by name."""
    from llama_orch.cli.page import command_page
    from llama_orch.cli.parse import parse

    command = find(options.name, out)
    if command is None:
        raise unknown(options.name)
    record = parse(command, options.words)
    if record is None:
        out.write(command_page(command))
        return 0
    return command.run(record, out)


def schema(options: Schema, out: Output) -> None:
    """One JSON array of `{id, summary, input, output}`."""
    from llama_orch_utils.applets.schema import schemas

    found = schemas(chosen(options.names, out))
    if out.mode == "quiet":
        for each in found:
            out.line(str(each["id"]))
    else:
        out.data(found, compact=True)


def mcp(options: Mcp, out: Output) -> int | None:
    """Until the agent goes."""
    from llama_orch.cli.applet.mcp import serve

    return serve(chosen(options.names, out), options, out)


def chosen(wanted: tuple[str, ...], out: Output) -> list[Runnable]:
    """The applets of these names, or all that work. Raises UsageError, AppletError."""
    found: list[Runnable] = []
    for name in wanted or names():
        each = _load(name)
        if each is None:
            raise unknown(name)
        if each.applet is not None:
            found.append(each.applet)
        elif each.error is not None:
            if wanted:
                raise each.error
            out.warn(f"{each.error.message}; {each.error.hint}")
    return found


def unknown(name: str) -> UsageError:
    """There is no applet of that name."""
    from llama_orch.cli.suggest import nearest

    near = nearest(name, names())
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return UsageError(f"there is no applet '{name}'{meant}", hint="orch applet ls")


def find(word: str, out: Output) -> Command[Any] | None:
    """The applet of that name as a command, or None. Raises AppletError for a broken one."""
    _ = out
    found = _load(word)
    if found is None:
        return None
    if found.applet is None:
        raise found.error or AssertionError(word)
    from llama_orch.cli.applet.form import command_of

    return command_of(found.applet)


def names() -> tuple[str, ...]:
    """The names of the applets that are installed."""
    from llama_orch.applets import catalogue

    return catalogue.names()


def _load(name: str) -> Found | None:
    from llama_orch.applets import catalogue

    return catalogue.load(name)


_SCHEMA_KEYS = {
    "id": "its name",
    "summary": "what it does",
    "input": "the JSON Schema of what it takes",
    "output": "the JSON Schema of what it gives",
}
APPLET = Group(
    "applet",
    "Ready-made programs on top of a model",
    (
        LS,
        INSTALL,
        UPGRADE,
        RM,
        VERIFY,
        NEW,
        TEST,
        PACK,
        EVAL,
        Command("applet schema", Schema, schema, ("orch applet schema summarize",), _SCHEMA_KEYS),
        Command("applet mcp", Mcp, mcp, ("orch applet mcp summarize", "orch applet mcp --port 8090")),
        Command("applet run", Run, run, ("orch applet run summarize -- report.txt --length short",)),
    ),
    default="ls",
)
