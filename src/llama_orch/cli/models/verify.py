# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch models verify`: whether the files are still what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.models.row import for_people, one_line, store
from llama_orch.cli.options import Printing, argument

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models.verifying import Verified

_KEYS = {
    "id": "the model",
    "path": "one of its files",
    "state": "ok, changed, missing or unreadable",
    "digest": "the SHA-256 that was recorded",
    "found": "the SHA-256 that it has",
    "why": "what is wrong",
    "mend": "the command that mends it",
}


@dataclass(frozen=True, kw_only=True)
class Verify(Printing):
    """Read models' files again and compare their SHA-256 with the recorded one.

    Ends with 1 if a file is not what it was. With -q only the names of such models.
    """

    models: tuple[str, ...] = argument(
        "MODEL", help="names of models; all of them if left out", many=True, required=False, complete="model"
    )


def verify(options: Verify, out: Output) -> int:
    """A row for each file; the exit code."""
    from llama_orch.cli.progress import Bar

    found = store().verify(tuple(dict.fromkeys(options.models)), Bar("sha256", quiet=out.quiet))
    bad = [each for each in found if each.state != "ok"]
    if out.mode == "quiet":
        for name in dict.fromkeys(each.id for each in bad):
            out.line(name)
        return 1 if bad else 0
    rows = [_row(each) for each in found]
    out.table(
        [for_people(each) for each in rows] if out.mode == "human" else rows,
        {"id": None, "state": None, "path": None},
        key="id",
        empty="no models to verify",
    )
    for each in bad:
        out.error(f"{one_line(str(each.file.path))} of {each.id}: {each.why}", each.mend and str(one_line(each.mend)))
    return 1 if bad else 0


def _row(verified: Verified) -> dict[str, object]:
    return {
        "id": verified.id,
        "path": str(verified.file.path),
        "state": verified.state,
        "digest": verified.file.digest,
        "found": verified.found,
        "why": verified.why,
        "mend": verified.mend,
    }


VERIFY = Command("models verify", Verify, verify, ("orch models verify", "orch models verify qwen3:0.6b"), _KEYS)
