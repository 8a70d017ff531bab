# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap init`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, argument, option

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_SQLITE = "sqlite:///tap.db"
_KEYS = {
    "folder": "where the tap is",
    "file": "its tap.toml",
    "mode": "public or private",
    "database": "its database, without a password",
    "admin_key": "the operator's key of /admin/v1; shown this once",
}


@dataclass(frozen=True, kw_only=True)
class Init(Printing):
    """Make a tap: a folder with its tap.toml, and its database.

    public: many accounts with prepaid credits. private: one tenant, any model, paid by GPU-seconds and a month fee.

    Prints the operator's key of the admin API, this once. On this machine the commands of orch tap need no key.
    """

    dir: str | None = argument("DIR", help="the folder to make; ORCH_TAP_DIR, if left out", required=False)
    mode: str = option("--mode", value="MODE", default="public", choices=("public", "private"), help="which kind")
    database: str = option(
        "--database", value="URL", default=_SQLITE, help="SQLite in the folder, or postgresql://USER@HOST/NAME"
    )
    name: str | None = option("--name", value="NAME", help="what it is called; the folder's name, if left out")


def init(options: Init, out: Output) -> None:
    """Write the file, fill the database, show the key. What was made goes again if the database cannot be."""
    from llama_orch.cli.tap.installed import check

    check()
    from llama_orch.tap.config.folder import chosen
    from llama_orch.tap.founding import found

    folder = chosen(options.dir)
    mode = "private" if options.mode == "private" else "public"
    founded = found(folder, mode=mode, name=options.name or folder.name, database=options.database)
    if out.mode != "human":
        out.record(
            {
                "folder": str(folder),
                "file": str(folder / "tap.toml"),
                "mode": mode,
                "database": founded.database,
                "admin_key": founded.admin_key,
            },
            key="admin_key",
        )
        return
    out.line(f"{folder} is a {mode} tap")
    out.line(f"admin key: {founded.admin_key}")
    out.note("the key is shown this once; it is for /admin/v1, and is kept as a digest")
    out.note(f"next: orch tap upstream add MODEL URL --dir {folder}, then orch tap serve {folder}")


INIT = Command(
    "tap init",
    Init,
    init,
    (
        "orch tap init mytap",
        "orch tap init mytap --mode private",
        "orch tap init mytap --database postgresql://tap@db.example/tap",
    ),
    _KEYS,
)
