# SPDX-License-Identifier: GPL-3.0-or-later
"""What the present rate means: how long a balance lasts, and what would expire unused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch_utils import Credits, UsageReport

PACE_DAYS = 7
_SOON_DAYS = 30


@dataclass(frozen=True, slots=True)
class Pace:
    """Micro-euros a day; days that the balance lasts (None: for ever); days to the next expiry, and what it takes."""

    per_day: int
    days_left: int | None
    expiry_days: int | None = None
    at_stake: int = 0

    def words(self, currency: str) -> Iterator[str]:
        """For people."""
        from llama_orch_utils.money import display

        if self.days_left is not None:
            days = f"{self.days_left} day{'' if self.days_left == 1 else 's'}"
            yield f"at {display(self.per_day, currency)} a day (the last {PACE_DAYS} days) it lasts {days}"
        if self.expiry_days is not None and self.expiry_days <= _SOON_DAYS and self.at_stake:
            yield f"{display(self.at_stake, currency)} expire in {self.expiry_days} days"


def pace_of(found: Credits, report: UsageReport, now: dt.datetime | None = None) -> Pace:
    """The pace of the report's days."""
    per_day = -(-report.total.cost // PACE_DAYS)
    now = now or dt.datetime.now(dt.UTC)
    days = None if found.next_expiry is None else max(0, (_moment(found.next_expiry) - now).days)
    stake = sum(each.remaining for each in found.grants if each.expires_at == found.next_expiry)
    return Pace(per_day, max(0, found.balance) // per_day if per_day else None, days, stake)


def _moment(text: str) -> dt.datetime:
    found = dt.datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
