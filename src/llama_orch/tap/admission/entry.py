# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down about one request: who asked for what, how it ended, and what it cost. Never what was said."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Entry:
    """Filled in as the request goes on. `cost` is micro-euros, None where nothing was charged."""

    model: str = ""
    reservation: int | None = None
    amount: int = 0
    cost: int | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    outcome: str = ""
    admit_seconds: float = 0.0
    queue_seconds: float = 0.0
    first_token_seconds: float = 0.0
    replayed: bool = False
