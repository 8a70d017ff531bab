# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet pack`: a signed bundle for a client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, argument, flag, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Pack(Printing):
    """Pack applets for a client: signed, installed offline with one command, under a name of their own.

    The client unpacks the zip and runs: python3 install.py. FOLDER holds brand.toml with name (the command), title,
    version, applets (a list of folders, wheels or package names) and target = {url = "https://tap.example.com/v1"};
    besides, where wanted: support, legal, welcome, logo, [colours] accent, [texts], and model in target.
    """

    folder: str = argument("FOLDER", help="the folder of brand.toml", complete="file")
    output: str = option("-o", "--output", help="where the zip goes", value="FOLDER", default="dist")
    find_links: tuple[str, ...] = option(
        "--find-links", help="a folder or a page of packages, besides the index", value="FOLDER", many=True
    )
    index: str | None = option("--index", help="a package index instead of your own", value="URL")
    offline: bool = flag("--offline", help="take packages from --find-links only")
    platform: tuple[str, ...] = option(
        "--platform", help="the client's machine, as pip names it: manylinux_2_28_x86_64", value="TAG", many=True
    )
    python: str | None = option("--python", help="the client's Python: 3.12", value="VERSION")


def pack(options: Pack, out: Output) -> None:
    """Make it and say what is in it."""
    from llama_orch.applets.bundle import pack as packing
    from llama_orch.applets.bundle import wish
    from llama_orch.applets.record import Origin

    where = Origin("folder", options.folder, options.index, options.find_links, options.offline)
    machine = packing.For(options.platform, options.python)
    made = packing.pack(wish.read(Path(options.folder)), where, machine, Path(options.output), out.note)
    for each in made.copyleft:
        out.warn(f"{each} asks more than a notice", "read what it asks before you hand the bundle out")
    found = {
        "path": str(made.path),
        "signer": made.signer,
        "applets": list(made.applets),
        "packages": list(made.packages),
    }
    out.record(found if out.json else {name: each for name, each in found.items() if name != "packages"}, key="path")


PACK = Command(
    "applet pack",
    Pack,
    pack,
    ("orch applet pack ./acme-helpdesk",),
    {
        "path": "the zip",
        "signer": "the fingerprint of the key that signed it: tell it to the client by another way",
        "applets": "the applets in it",
        "packages": "every wheel in it",
    },
)
