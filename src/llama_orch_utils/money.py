# SPDX-License-Identifier: Apache-2.0
"""Money as everything here counts it: whole micro-euros (1e-6 EUR), read from and written for people."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

from llama_orch_utils.errors import BadRequest

UNIT = 1_000_000
"""Micro-euros of one euro."""
_AMOUNT = re.compile(r"\s*(?:EUR|€)?\s*(\d{1,9}(?:[.,]\d{1,6})?)\s*(?:EUR|€)?\s*", re.IGNORECASE | re.ASCII)
_SIGNS = {"EUR": "€"}


def micro_euros(amount: str | float) -> int:
    """`0.50 EUR`, `€0.5`, `0.5` or 0.5 in micro-euros. Raises BadRequest for anything else, and for less than 1."""
    found = _AMOUNT.fullmatch(str(amount))
    number = int(Decimal(found[1].replace(",", ".")) * UNIT) if found else 0
    if number < 1:
        raise BadRequest(
            f"{amount!r} is no amount of money", param="/max_cost", hint='give euros, such as "0.50 EUR" or 0.5'
        )
    return number


def display(amount: int, currency: str = "EUR", *, left: bool = False) -> str:
    """An amount in micro-units for people: two decimals, more where it is below a cent.

    `left`: it is what somebody has, and is cut off as taps do it: nobody is shown more than there is.
    """
    sign = "-" if amount < 0 else ""
    value = Decimal(abs(amount)) / UNIT
    coarse = value >= Decimal("0.01") or not value
    cents = value.quantize(Decimal("0.01"), ROUND_DOWN if left else ROUND_HALF_EVEN)
    words = f"{cents:,}" if coarse else f"{value.normalize():f}"
    symbol = _SIGNS.get(currency)
    return f"{sign}{symbol}{words}" if symbol else f"{sign}{words} {currency}"
