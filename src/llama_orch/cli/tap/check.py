# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.tap.opening import InTap, config_of

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_FOUND = 1


@dataclass(frozen=True, kw_only=True)
class Check(InTap):
    """Prove the ledger's invariants on the database, while the tap serves.

    Every balance is the sum of its journal, what is reserved is the sum of the open reservations, everything together
    is nothing, and what was charged is what was used. The exit code is 1 when something is found.
    """


def check(options: Check, out: Output) -> int:
    """One line per finding."""
    config = config_of(options)
    from llama_orch.ledger.books.view import shown
    from llama_orch.ledger.check import check as prove

    found = [shown(each) for each in prove(config.database)]
    columns: dict[str, None] = dict.fromkeys(("rule", "subject", "found", "expected", "text"))
    out.table(found, columns, key="rule", empty="the ledger is sound")
    return _FOUND if found else 0


CHECK = Command(
    "tap check",
    Check,
    check,
    ("orch tap check", "orch tap check --json"),
    {
        "rule": "the invariant that is broken",
        "subject": "the account, the grant, the key or the request that it is about",
        "text": "what that means",
        "found": "what there is",
        "expected": "what should be",
    },
)
