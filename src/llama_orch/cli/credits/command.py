# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch credits`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.options import Printing, option

if TYPE_CHECKING:
    from llama_orch.cli.credits.pace import Pace
    from llama_orch.cli.output import Output
    from llama_orch_utils import Credits

_KEYS = {
    "target": "whose credits these are",
    "balance": "what is left, in micro-euros",
    "reserved": "what running requests hold, in micro-euros",
    "currency": "EUR",
    "paused": "whether requests are refused until credits come",
    "grants": "id, kind, amount, remaining, granted_at and expires_at of each",
    "next_expiry": "when the next grant ends, or null",
    "per_day": "micro-euros a day, as of the last 7 days",
    "days_left": "days that the balance lasts at that pace, or null",
    "warnings": "what the tap warns of",
}
_WARNINGS = {
    "balance_low": "the balance is low",
    "grant_expires_soon": "a grant expires soon",
    "fee_unpaid": "the month fee is not paid",
}


@dataclass(frozen=True, kw_only=True)
class Show(Printing):
    """Show the balance at a tap: its grants, when they expire, and how long they last.

    The exit code is 5 while the account is paused.
    """

    target: str | None = option(
        "-t", "--target", value="TARGET", complete="target", help="a tap; the target in use, if left out"
    )


def show(options: Show, out: Output) -> int | None:
    """The balance, and the pace of the last week."""
    from llama_orch.cli.credits.pace import PACE_DAYS, pace_of
    from llama_orch.cli.failure import MONEY
    from llama_orch_utils import Client

    with Client(options.target) as client:
        found = client.credits()
        pace = pace_of(found, client.usage(PACE_DAYS))
        target = client.target
    if out.mode == "human":
        _tell(target, found, pace, out)
    else:
        figures = {"per_day": pace.per_day, "days_left": pace.days_left}
        out.record({"target": target, **found.to_dict(), **figures}, key="balance")
    return MONEY if found.paused else None


def _tell(target: str, found: Credits, pace: Pace, out: Output) -> None:
    from llama_orch_utils.money import display

    held = f", {display(found.reserved, found.currency)} held for running requests" if found.reserved else ""
    out.line(f"{target}: {display(found.balance, found.currency, left=True)}{held}")
    rows = [
        {
            "grant": each.id,
            "kind": each.kind,
            "remaining": display(each.remaining, found.currency, left=True),
            "of": display(each.amount, found.currency),
            "expires": (each.expires_at or "never")[:10],
        }
        for each in found.grants
    ]
    out.table(rows, dict.fromkeys(("grant", "kind", "remaining", "of", "expires")), key="grant", empty="no grants")
    for words in (*pace.words(found.currency), *(_WARNINGS.get(each, each) for each in found.warnings)):
        out.note(words)
    if found.paused:
        out.warn("the account is paused: requests are refused until credits come", "buy credits, or redeem a voucher")


CREDITS = Command("credits", Show, show, ("orch credits", "orch credits -t private:acme --json"), _KEYS)
