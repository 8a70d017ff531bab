# SPDX-License-Identifier: GPL-3.0-or-later
"""A bar on a terminal's stderr while bytes go by; nothing anywhere else."""

from __future__ import annotations

import os
import sys
import time

_WIDTH = 30
_SECONDS = 0.1


class Bar:
    """Called with bytes done and bytes in all; draws at most ten times a second and wipes itself away at the end."""

    def __init__(self, title: str, *, quiet: bool = False) -> None:
        self._title = title
        self._drawn = 0.0
        self._shown = not quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __call__(self, done: int, total: int) -> None:
        """Progress: `done` of `total` bytes."""
        if not self._shown or (done < total and time.monotonic() - self._drawn < _SECONDS):
            return
        self._drawn = time.monotonic()
        if done >= total:
            sys.stderr.write("\r\x1b[K")
        else:
            full = _WIDTH * done // max(total, 1)
            sys.stderr.write(f"\r{self._title} [{'#' * full}{'.' * (_WIDTH - full)}] {100 * done // max(total, 1)} %")
        sys.stderr.flush()
