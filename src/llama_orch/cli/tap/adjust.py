# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap adjust`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, option
from llama_orch.cli.tap.opening import InTap, books, for_people, micro

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Adjust(InTap):
    """Mend a mistake by an opposite entry; nothing is ever changed or deleted.

    ACCOUNT with --eur gives more, or with --minus-eur takes (never below 0). With --request what a request cost goes
    back to the grants that paid for it.
    """

    account: str | None = argument("ACCOUNT", help="an id or a name of orch tap account ls", required=False)
    eur: str | None = option("--eur", value="N", help="how much more, in euros; with --request: how much of it")
    minus_eur: str | None = option("--minus-eur", value="N", help="how much less, in euros")
    request: str | None = option("--request", value="ID", help="a request (x-orch-request-id) whose cost goes back")
    reason: str | None = option("--reason", value="TEXT", help="why; it is kept")
    id: str | None = option("--id", value="IDEMPOTENCY", help="the same again changes nothing")


def adjust(options: Adjust, out: Output) -> None:
    """One correction."""
    from llama_orch.ledger.books import grants
    from llama_orch.ledger.books.view import shown

    hint = "orch tap adjust ACCOUNT --minus-eur 5 --reason 'granted twice'"
    if not options.reason:
        raise UsageError("a correction needs --reason", hint=hint)
    if (options.account is None) == (options.request is None):
        raise UsageError("name an account, or a request with --request", hint=hint)
    if options.request is not None and options.minus_eur is not None:
        raise UsageError("what a request cost goes back: --eur says how much of it, --minus-eur nothing", hint=hint)
    with books(options) as book:
        if options.request is not None:
            back = None if options.eur is None else micro("--eur", options.eur)
            made = grants.refund(book, options.request, back, reason=options.reason, id=options.id)
        else:
            assert options.account is not None, "one of the two was given"
            if (options.eur is None) == (options.minus_eur is None):
                raise UsageError("how much: --eur or --minus-eur", hint=hint)
            amount = micro("--eur", options.eur) if options.eur else -micro("--minus-eur", options.minus_eur or "")
            made = grants.adjust(book, options.account, amount, reason=options.reason, id=options.id)
    out.record(for_people(shown(made), out), key="id")


ADJUST = Command(
    "tap adjust",
    Adjust,
    adjust,
    (
        "orch tap adjust acme --minus-eur 5 --reason 'granted twice'",
        "orch tap adjust --request 9f2c4e8a --reason 'the answer was cut by us'",
    ),
    {
        "id": "the correction",
        "account": "whose it is",
        "amount": "micro-euros more; less than 0: less",
        "balance": "micro-euros after it",
    },
)
