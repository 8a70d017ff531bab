# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet new`: a folder with an applet that works, and tests that pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, argument, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class New(Printing):
    """Write a new applet: a folder with its code, its prompt, its manifest and tests that pass."""

    name: str = argument("NAME", help="what orch NAME will take: small letters, digits, dashes")
    into: str | None = option("--into", help="its folder (default: ./NAME)", value="FOLDER")
    licence: str = option("--licence", help="its SPDX expression", value="SPDX", default="Apache-2.0")
    summary: str = option("--summary", help="what it does, in a line", default="Says what matters in a text.")


def new(options: New, out: Output) -> None:
    """Write it and tell what to do next."""
    from llama_orch.applets import skeleton

    folder = Path(options.into or options.name)
    made = skeleton.write(options.name, folder, options.licence, options.summary)
    out.table([{"path": str(each)} for each in made], {"path": None}, key="path", empty="")
    out.note(f"\nnext: orch applet test {folder}")


NEW = Command("applet new", New, new, ("orch applet new my-applet",), {"path": "a file that was written"})
