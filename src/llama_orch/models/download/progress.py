# SPDX-License-Identifier: GPL-3.0-or-later
"""What a download tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["fetching", "checking", "waiting", "trouble"]


@dataclass(frozen=True, slots=True)
class Step:
    """`file` has `done` of `size` bytes (None: not known).

    `fetching`: they came; `checking`: what was there before is hashed; `waiting`: another process fetches it;
    `trouble`: `message` says what happened and that it goes on.
    """

    kind: Kind
    file: str
    done: int
    size: int | None
    message: str | None = None


Watch = Callable[[Step], None]
