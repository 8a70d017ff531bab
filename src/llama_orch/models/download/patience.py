# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a download waits for a server, and how often it asks again."""

from __future__ import annotations

import random
from dataclasses import dataclass

_LONGEST_PAUSE = 8.0
_LONGEST_ORDER = 120.0


@dataclass(frozen=True, slots=True)
class Patience:
    """`stall` seconds without a byte end a connection; `retries` more follow one that brought nothing.

    Between them `pause` seconds, doubled each time up to 8; a server's own Retry-After goes first, up to 120.
    """

    retries: int = 5
    stall: float = 10.0
    pause: float = 0.5

    def before(self, attempt: int, ordered: float | None = None) -> float:
        """Seconds to wait before attempt number `attempt` (from 1); `ordered` is what the server asked for."""
        if ordered is not None:
            return min(max(ordered, 0.0), _LONGEST_ORDER)
        # Spread, so that many clients of one server do not come back at once; not a secret.
        return min(self.pause * 2 ** (attempt - 1), _LONGEST_PAUSE) * random.uniform(0.75, 1.25)  # noqa: S311
