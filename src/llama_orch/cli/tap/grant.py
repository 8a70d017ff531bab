# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch tap grant`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import argument, option
from llama_orch.cli.tap.opening import InTap, books, for_people, micro

if TYPE_CHECKING:
    from llama_orch.cli.output import Output

_KEYS = {
    "id": "the grant",
    "expires_at": "when what is left of it ends",
    "account": "whose it is",
    "kind": "gift, purchase, voucher or adjustment",
    "amount": "micro-euros",
    "remaining": "micro-euros that are left",
    "priority": "the lower is drawn first",
    "granted_at": "when it was made",
    "expired_at": "when it ended, or null",
    "scope": "what it pays for; nothing: everything",
    "reference": "what it came of",
    "reason": "why",
    "actor": "who made it",
}


@dataclass(frozen=True, kw_only=True)
class Grant(InTap):
    """Give an account credits, at once.

    With --id it happens once, however often it is asked: a script may run it again.
    """

    account: str = argument("ACCOUNT", help="an id or a name of orch tap account ls")
    eur: str | None = option("--eur", value="N", help="how much, in euros: 10, 2.50")
    pack: str | None = option("--pack", value="NAME", help="what a pack of orch tap pack ls gives, instead")
    days: int | None = option(
        "--days", value="N", kind=int, bounds=(1, 36_525), help="how long it lives; twelve months, if left out"
    )
    id: str | None = option("--id", value="IDEMPOTENCY", help="the grant's id; the same again changes nothing")
    kind: str = option("--kind", value="KIND", default="gift", choices=("gift", "purchase"), help="what it is")
    priority: int = option(
        "--priority", value="N", kind=int, default=0, bounds=(-1000, 1000), help="the lower is drawn first"
    )
    reason: str | None = option("--reason", value="TEXT", help="why; it is kept")


def grant(options: Grant, out: Output) -> None:
    """One grant."""
    from llama_orch.ledger.books import grants, packs
    from llama_orch.ledger.books.view import shown

    if (options.eur is None) == (options.pack is None):
        raise UsageError("a grant needs --eur or --pack", hint=f"orch tap grant {options.account} --eur 10")
    with books(options) as book:
        if options.pack is not None:
            _check_pack(options)
            made = packs.sell(book, options.account, options.pack, id=options.id, reason=options.reason or "")
        else:
            assert options.eur is not None, "one of the two was given"
            gift = grants.Gift(
                amount=micro("--eur", options.eur), days=options.days, id=options.id, kind=options.kind,
                priority=options.priority, reason=options.reason or "",
            )  # fmt: skip
            made = grants.add(book, options.account, gift)
    row = for_people(shown(made), out)
    out.record({"id": row["id"], "expires_at": row["expires_at"], **row}, key="id")


def _check_pack(options: Grant) -> None:
    """Raises UsageError for what a pack says itself."""
    own = {"days": options.days is not None, "kind": options.kind != "gift", "priority": options.priority != 0}
    word = next((word for word, given in own.items() if given), None)
    if word is not None:
        raise UsageError(f"a pack has its own {word}", hint=f"orch tap grant {options.account} --pack {options.pack}")


GRANT = Command(
    "tap grant",
    Grant,
    grant,
    (
        "orch tap grant acme --eur 10",
        "orch tap grant acme --eur 10 --days 365 --id invoice-2026-117",
        "orch tap grant acme --pack Builder",
    ),
    _KEYS,
)
