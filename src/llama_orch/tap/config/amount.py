# SPDX-License-Identifier: GPL-3.0-or-later
"""Amounts as people write them: euros as micro-euros, sizes as bytes."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_MICRO = 1_000_000
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_MOST = 2**53


def micro_euros(value: object) -> int:
    """Euros as micro-euros. Raises ValueError (what it must be) for less than nothing, and for parts of a micro."""
    try:
        exact = Decimal(str(value)) * _MICRO
    except InvalidOperation:
        exact = None
    if isinstance(value, bool) or exact is None or not exact.is_finite() or exact < 0 or exact != int(exact):
        raise ValueError("an amount in euros, such as 10 or 2.50")
    if exact >= _MOST * 64:
        raise ValueError("an amount in euros that somebody could pay")
    return int(exact)


def size(value: object) -> int:
    """Bytes: a number, or `16M` (powers of 1024). Raises ValueError (what it must be)."""
    found = None if isinstance(value, (bool, float)) else _SIZE.fullmatch(str(value).strip())
    if found is None:
        raise ValueError("a size such as 16M or 8G")
    return int(float(found[1]) * 2 ** _UNITS[found[2].lower()])
