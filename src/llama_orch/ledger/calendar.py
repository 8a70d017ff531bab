# SPDX-License-Identifier: GPL-3.0-or-later
"""Days, months and twelve months later, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

DAY = 86400
VALID_MONTHS = 12
"""How long a grant lives unless it says otherwise."""


def day_of(at: float) -> int:
    """Days since 1970-01-01."""
    return int(at // DAY)


def month_of(at: float) -> int:
    """Months since 1970-01."""
    date = datetime.fromtimestamp(at, UTC)
    return (date.year - 1970) * 12 + date.month - 1


def day_name(day: int) -> str:
    """`2026-11-21`."""
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


def months_later(at: float, months: int = VALID_MONTHS) -> float:
    """The same day and time `months` later; where that month is shorter, the first of the next one.

    So what was bought on 29 February lives until 1 March: nobody loses a part of a day to the calendar.
    """
    date = datetime.fromtimestamp(at, UTC)
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    try:
        return date.replace(year=year, month=month + 1).timestamp()
    except ValueError:
        year, month = divmod(year * 12 + month + 1, 12)
        return date.replace(year=year, month=month + 1, day=1).timestamp()
