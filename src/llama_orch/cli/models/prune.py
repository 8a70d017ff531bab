# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models prune`: away with what is of no use any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.models.row import for_people, remember, store
from llama_orch.cli.options import Printing, flag

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_KEYS = {
    "kind": "download (unfinished), file (no name uses it), name (its file is gone) or leftover",
    "id": "the model's name, else the file's",
    "path": "what is removed; of a name, the file that is gone",
    "size": "bytes",
    "removed": "whether it was removed",
}


@dataclass(frozen=True, kw_only=True)
class Prune(Printing):
    """Remove unfinished downloads, files that no name uses, and names whose file is gone.

    Downloads that are going on stay, and so does every file that was only linked.
    """

    dry_run: bool = flag("--dry-run", help="only tell what would be removed")


def prune(options: Prune, out: Output) -> None:
    """A row for each thing that goes."""
    from llama_orch.cli.output import size

    found = store()
    gone = found.prune(dry_run=options.dry_run)
    remember(found.list())
    rows = [
        {
            "kind": each.kind,
            "id": each.id,
            "path": str(each.path),
            "size": each.size,
            "removed": not options.dry_run,
        }
        for each in gone
    ]
    out.table(
        [for_people(each) for each in rows] if out.mode == "human" else rows,
        {"kind": None, "id": None, "size": size, "path": None},
        key="id",
        empty="nothing to remove",
    )
    if gone and out.mode == "human":
        total = size(sum(each.size for each in gone))
        out.note(f"{total} would be freed: orch models prune" if options.dry_run else f"{total} freed")


PRUNE = Command("models prune", Prune, prune, ("orch models prune --dry-run", "orch models prune"), _KEYS)
