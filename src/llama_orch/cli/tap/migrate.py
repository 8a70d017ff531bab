# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap migrate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.tap.opening import InTap, config_of

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Migrate(InTap):
    """Bring the database to what this release needs. Forward only: make a backup first."""


def migrate(options: Migrate, out: Output) -> None:
    """In one transaction."""
    config = config_of(options)
    from llama_orch.ledger.address import address
    from llama_orch.ledger.revision import migrate as bring

    before, after = bring(config.database)
    found = {"database": address(config.database).shown, "before": before or None, "after": after}
    if out.mode == "human":
        out.line(
            f"{found['database']} is at revision {after}" + ("" if before == after else f" (was {before or 'empty'})")
        )
    else:
        out.record(found, key="after")


MIGRATE = Command(
    "tap migrate",
    Migrate,
    migrate,
    ("orch tap migrate",),
    {"database": "without a password", "before": "its revision before, or null: it was empty", "after": "and now"},
)
