# SPDX-License-Identifier: GPL-3.0-or-later
"""Money that moves outside a request: grants and adjustments here, fees in `charging`, corrections in `correcting`.

Every function works in the caller's transaction (`database.writing`), locks the account first, and is idempotent by
the id that the caller gives: the same id again moves nothing and tells what it did the first time.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Row, insert, select

from llama_orch.ledger.calendar import DAY, months_later
from llama_orch.ledger.charging import charge
from llama_orch.ledger.correcting import correct
from llama_orch.ledger.drawdown import balance_of
from llama_orch.ledger.posting import check_amount, draw_from, first_time, keep_balance, lock, open_grants, transfer
from llama_orch.ledger.records import GrantState
from llama_orch.ledger.schema import grants
from llama_orch_utils.errors import BadRequest, RequestError

__all__ = ["Gift", "adjust", "charge", "correct", "give"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gift:
    """What a grant is made of. Without `days` and `expires_at` it lives twelve months.

    `id` is what makes it happen once (a payment provider's event id); `source` the book that pays for it.
    """

    account: str
    amount: int
    kind: str = "gift"
    id: str | None = None
    days: int | None = None
    expires_at: float | None = None
    priority: int = 0
    scope: str = ""
    reference: str = ""
    reason: str = ""
    actor: str = ""
    source: str = "clearing"


def give(connection: Connection, gift: Gift, *, now: float | None = None) -> GrantState:
    """Makes a grant, once per id. Raises BadRequest, and RequestError 409 when the id was used for another grant."""
    at = time.time() if now is None else now
    check_amount(gift.amount)
    name = gift.id or f"gr_{secrets.token_hex(8)}"
    lock(connection, gift.account)
    if (before := connection.execute(select(grants).where(grants.c.id == name)).one_or_none()) is not None:
        return _same(before, gift)
    expires_at = _ending(gift, at)
    connection.execute(
        insert(grants).values(
            id=name, account=gift.account, kind=gift.kind, amount=gift.amount, remaining=gift.amount,
            priority=gift.priority, granted_at=at, expires_at=expires_at, scope=gift.scope, reference=gift.reference,
            reason=gift.reason, actor=gift.actor,
        )
    )  # fmt: skip
    keep_balance(connection, gift.account, gift.amount)
    kind = "grant" if gift.source == "clearing" else "adjust"
    transfer(connection, at, kind, gift.account, (gift.source, f"grant:{name}"), gift.amount, (gift.reason, gift.actor))
    return GrantState(name, gift.kind, gift.amount, gift.amount, at, expires_at)


def adjust(
    connection: Connection,
    account: str,
    amount: int,
    *,
    id: str,  # noqa: A002 - the transfer's
    reason: str,
    actor: str,
    now: float | None = None,
) -> int:
    """Mends a balance by an entry of its own: more (a new grant), or less (drawn like a charge, never below 0).

    Returns the balance after it. Raises BadRequest without a reason, InsufficientCredits when less is there.
    """
    at = time.time() if now is None else now
    if not reason or not actor:
        raise BadRequest("an adjustment needs a reason and an actor", param="/reason")
    check_amount(abs(amount))
    lock(connection, account)
    if amount > 0:
        more = Gift(
            account=account, amount=amount, kind="adjustment", id=id, reason=reason, actor=actor, source="adjustments"
        )
        give(connection, more, now=at)
    elif first_time(connection, account, id, "adjustment", -amount, at):
        for grant, part in draw_from(connection, account, -amount, at, scope=""):
            transfer(connection, at, "adjust", account, (f"grant:{grant}", "adjustments"), part, (reason, actor))
    return balance_of(open_grants(connection, account), at)


def _same(before: Row[tuple[object, ...]], gift: Gift) -> GrantState:
    """The grant that this id made before."""
    if (before.account, before.amount) != (gift.account, gift.amount):
        raise RequestError(
            f"the id {before.id!r} belongs to another grant", param="/id", code="id_in_use", status=409,
            hint="give each grant an id of its own",
        )  # fmt: skip
    return GrantState(before.id, before.kind, before.amount, before.remaining, before.granted_at, before.expires_at)


def _ending(gift: Gift, at: float) -> float:
    if gift.expires_at is not None:
        ending = gift.expires_at
    elif gift.days is not None:
        ending = at + gift.days * DAY
    else:
        ending = months_later(at)
    if ending <= at:
        raise BadRequest("the grant would have expired already", param="/expires_at")
    return ending
