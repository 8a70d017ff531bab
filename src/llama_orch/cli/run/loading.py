# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a local worker, on stderr: a bar on a terminal, single lines elsewhere.

Drawn by hand: to load rich takes longer than to load a small model.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch_utils.targets.local import LoadEvent

_WIDTH = 30
_SECONDS = 0.1
_WAITING = "another command is starting this worker; waiting for it"


class Loading:
    """Listens to the events of a start; the line that it draws is gone when the worker is ready."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._terminal = not out.quiet and out.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._drawn_at = 0.0
        self._drawn = False
        self._said: set[str] = set()

    def __call__(self, event: LoadEvent) -> None:
        """Show one event."""
        if event.kind == "warning":
            self.clear()
            self._out.warn(event.message, event.hint)
        elif event.kind == "ready":
            self.clear()
        elif self._terminal:
            self._draw(event)
        elif event.kind == "waiting":
            self._once(_WAITING)

    def clear(self) -> None:
        """Wipe the line away."""
        if self._drawn:
            self._out.stderr.write("\r\x1b[2K")
            self._out.stderr.flush()
            self._drawn = False

    def _draw(self, event: LoadEvent) -> None:
        now = time.monotonic()
        if event.kind == "loading" and self._drawn and now - self._drawn_at < _SECONDS and (event.progress or 0) < 1:
            return
        self._drawn, self._drawn_at = True, now
        text = _WAITING if event.kind == "waiting" else _bar(event.progress or 0.0)
        columns = _columns(self._out.stderr.fileno())
        self._out.stderr.write(f"\r\x1b[2K{text[: columns - 1]}")
        self._out.stderr.flush()

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._out.note(f"note: {text}")


def _bar(progress: float) -> str:
    full = round(_WIDTH * min(max(progress, 0.0), 1.0))
    return f"loading the model [{'#' * full}{'.' * (_WIDTH - full)}] {100 * progress:.0f} %"


def _columns(descriptor: int) -> int:
    try:
        return os.get_terminal_size(descriptor).columns or 80
    except OSError:
        return 80
