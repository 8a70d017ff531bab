# SPDX-License-Identifier: GPL-3.0-or-later
"""One finding of `orch doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and the command that mends it (None: nothing to mend)."""

    name: str
    state: State
    message: str
    hint: str | None = None
