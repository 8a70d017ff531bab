# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the text is put together from this house's own words; values are parameters
"""What the sweeper finds: leases that ran out, and grants whose time is over."""

from __future__ import annotations

from llama_orch.ledger.statements import read
from llama_orch.ledger.store import Store

MOST = 500
"""Of each kind in one sweep: the writer must not be away for long."""

_LEASES = read(f"SELECT id FROM reservations WHERE lease_until <= {{value}} ORDER BY lease_until LIMIT {MOST}")
_GRANTS = read(
    "SELECT account, id, remaining FROM grants WHERE expired_at IS NULL AND expires_at <= {value}"
    f" ORDER BY expires_at LIMIT {MOST}"
)
_BOOK = read(
    "SELECT COALESCE(SUM(CASE WHEN target = {value} THEN amount ELSE -amount END), 0) FROM journal"
    " WHERE account = {value} AND (target = {value} OR source = {value})"
)


def ended_leases(store: Store, now: float) -> list[int]:
    """Reservations that nobody renews any more."""
    [rows] = store.fetch([(_LEASES, (now,))])
    return [row[0] for row in rows]


def ended_grants(store: Store, now: float) -> tuple[list[tuple[str, str]], list[str]]:
    """Accounts and their grants to close; and the grants that are not closed, because the journal disagrees.

    A drift blocks expiry, and nothing else: what a customer lost by it could not be told afterwards.
    """
    [rows] = store.fetch([(_GRANTS, (now,))])
    closing: list[tuple[str, str]] = []
    drifted: list[str] = []
    for account, grant, remaining in rows:
        book = f"grant:{grant}"
        [[(journalled,)]] = store.fetch([(_BOOK, (book, account, book, book))])
        if int(journalled) == remaining:
            closing.append((account, grant))
        else:
            drifted.append(grant)
    return closing, drifted
