# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models rm`: forget names, and delete what the store owns and nothing else uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.models.row import KEYS, one_line, remember, row, store
from llama_orch.cli.options import Printing, argument

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models import Removed

_KEYS = {**KEYS, "freed": "bytes of the files that were deleted"}


@dataclass(frozen=True, kw_only=True)
class Rm(Printing):
    """Remove models; the files of linked ones stay where they are.

    What orch pull fetched is deleted, unless another name uses it. With a name that is unknown, nothing is removed.
    """

    models: tuple[str, ...] = argument("MODEL", help="names of models", many=True, complete="model")


def rm(options: Rm, out: Output) -> None:
    """Remove each of the names, or none of them."""
    found = store()
    removed = found.remove_all(tuple(dict.fromkeys(options.models)))
    remember(found.list())
    if out.mode == "human":
        for each in removed:
            out.note(_told(each))
    else:
        rows = [{**row(each.model), "freed": sum(file.size for file in each.deleted)} for each in removed]
        out.table(rows, {}, key="id", empty="")


def _told(removed: Removed) -> str:
    from llama_orch.cli.output import size

    model = removed.model
    if removed.deleted:
        return f"removed {model.id}: {size(sum(file.size for file in removed.deleted))} freed"
    if model.owned:
        return f"forgot {model.id}; its files stay: another name uses them"
    return f"forgot {model.id}; the file stays: {one_line(str(model.path))}"


RM = Command("models rm", Rm, rm, ("orch models rm my-model",), _KEYS)
