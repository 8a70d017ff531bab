# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap payments`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.tap.opening import InTap, books, euros

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Payments(InTap):
    """Show what the payment provider reported, and what came of it.

    A payment that is unmatched bought nothing: its note says why. Mend it with orch tap grant ACCOUNT --id EVENT.
    """


def payments(options: Payments, out: Output) -> None:
    """The newest first."""
    from llama_orch.ledger.books import payments as kept
    from llama_orch.ledger.books.view import shown

    with books(options) as book:
        rows = [shown(each) for each in kept.listing(book)]
    columns = {
        "event_id": None,
        "kind": None,
        "status": None,
        "account": None,
        "pack": None,
        "amount": euros,
        "note": None,
    }
    out.table(rows, columns, key="event_id", empty="no payment yet")


PAYMENTS = Command(
    "tap payments",
    Payments,
    payments,
    ("orch tap payments --json",),
    {
        "provider": "stripe",
        "event_id": "the provider's event; it is the grant's id",
        "object_id": "the payment that it is about",
        "account": "who bought, or null",
        "pack": "what, or null",
        "amount": "micro-euros that were paid; of a refund: millionths of the payment",
        "currency": "EUR",
        "kind": "the provider's word for the event",
        "status": "granted, again, waiting, refunded, failed, ignored or unmatched",
        "received_at": "when it came",
        "grant_id": "the grant that it became, or null",
        "note": "why",
    },
)
