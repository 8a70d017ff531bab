# SPDX-License-Identifier: GPL-3.0-or-later
"""Money and times as clients read them: whole micro-euros with a string beside them, times as RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

_MICRO = 1_000_000
_CENT = 10_000
_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}


def display(amount: int, currency: str) -> str:
    """`€12.34`; the cents are cut off, never rounded up: nobody is shown more than there is."""
    sign = _SIGNS.get(currency, f"{currency} ")
    minus, size = ("-", -amount) if amount < 0 else ("", amount)
    return f"{minus}{sign}{size // _MICRO}.{size % _MICRO // _CENT:02d}"


def moment(seconds: float | None) -> str | None:
    """`2026-11-21T03:20:00Z`; None stays None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
