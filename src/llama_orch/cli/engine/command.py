# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch engine ls | build | use | rm`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command, Group
from llama_orch.cli.engine.build import BUILD
from llama_orch.cli.engine.row import KEYS
from llama_orch.cli.options import Printing, argument

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Ls(Printing):
    """List the engines: the installed one, and those that orch has built."""


@dataclass(frozen=True, kw_only=True)
class Use(Printing):
    """Run local models on another engine from now on; orch engine use installed is the way back.

    Workers that run already go on with theirs until they are stopped.
    """

    name: str = argument("NAME", help="an engine of orch engine ls, or installed")


@dataclass(frozen=True, kw_only=True)
class Rm(Printing):
    """Remove engines that orch has built, with their environments."""

    names: tuple[str, ...] = argument("NAME", help="engines of orch engine ls", many=True)


def ls(_options: Ls, out: Output) -> None:
    """The installed one first, then the builds by name."""
    from llama_orch.cli.engine import row

    rows = row.rows()
    columns = {"name": None, "in_use": None, "backend": None, "kind": None, "version": None, "state": None,
               "tokens_per_second": None, "size": _size}  # fmt: skip
    out.table(rows, columns, key="name", empty="no engine")


def _size(value: object) -> str:
    from llama_orch.cli.output import size

    return "" if value is None else size(value)


def use(options: Use, out: Output) -> None:
    """Write the choice into the user's file, and say so where something else overrides it."""
    from llama_orch.cli.engine import row
    from llama_orch.engines import choice

    before = choice.use(options.name)
    found = row.of(options.name)
    if out.mode == "human":
        found = {name: value for name, value in found.items() if value not in (None, [])}
    out.record(found, key="name")
    if before != options.name:
        out.note(f"the way back: orch engine use {before}")
    overridden = choice.overridden(options.name)
    if overridden:
        out.warn(*overridden)


def rm(options: Rm, out: Output) -> None:
    """Remove each; the one in use gives way to the installed one."""
    from llama_orch.cli.engine import row
    from llama_orch.engines import choice, shelf

    for name in options.names:
        shelf.find(name)  # all are known before the first goes
    removed: list[dict[str, object]] = []
    for name in dict.fromkeys(options.names):
        removed.append(row.of(name))
        shelf.remove(name)
        if choice.forget(name):
            out.note(f"{name} was in use: local models run on the installed engine again")
        if out.mode == "human":
            out.note(f"removed {name}")
    if out.mode != "human":
        out.table(removed, {}, key="name", empty="")


LS = Command("engine ls", Ls, ls, ("orch engine ls", "orch engine ls --json"), KEYS)
USE = Command("engine use", Use, use, ("orch engine use cuda", "orch engine use installed"), KEYS)
RM = Command("engine rm", Rm, rm, ("orch engine rm cuda",), KEYS)
ENGINE = Group("engine", "Build llama.cpp for this machine, and choose which build runs", (LS, BUILD, USE, RM), "ls")
