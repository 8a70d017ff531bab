# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a run is, on a terminal's stderr, in one line that wipes itself away; nothing anywhere else."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from llama_orch.cli.output import Output

_SECONDS = 0.1


class Steps:
    """Draws at most ten times a second."""

    def __init__(self, out: Output) -> None:
        self._drawn = 0.0
        self._shown = not out.quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.say("")

    def show(self, done: int, total: int, words: str) -> None:
        """`done` of `total` (0: nobody knows), and what it is about."""
        if self.due():
            self.say(f"{done} of {total} {words}" if total else words)

    def due(self, *, last: bool = False) -> bool:
        """Whether it is time to draw again."""
        if not last and time.monotonic() - self._drawn < _SECONDS:
            return False
        self._drawn = time.monotonic()
        return True

    def say(self, text: str) -> None:
        """The line."""
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{text[:100]}")
            sys.stderr.flush()
