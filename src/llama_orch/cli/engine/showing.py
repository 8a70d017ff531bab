# SPDX-License-Identifier: GPL-3.0-or-later
"""A build while it goes on, on stderr: a bar with the time left on a terminal, a line per step elsewhere."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.engines.wish import BuildEvent

_WIDTH = 30
_SECONDS = 0.1
_LATE = 0.05
_MINUTE = 60


class Showing:
    """Hears the events of a build."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._terminal = not out.quiet and out.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._step = ""
        self._begun = self._drawn_at = time.monotonic()
        self._drawn = False
        self._waiting = False

    def __call__(self, event: BuildEvent) -> None:
        """Show one event."""
        if event.kind == "step":
            self._begin(event.message)
        elif event.kind == "progress":
            self._draw(_bar(self._step, event.done, event.total, time.monotonic() - self._begun), event.done)
        elif event.kind == "waiting":
            self._wait(event)
        else:
            self.clear()
            if event.kind == "warning":
                self._out.warn(event.message)
            else:
                self._out.note(event.message)

    def clear(self) -> None:
        """Wipe the line away."""
        if self._drawn:
            self._out.stderr.write("\r\x1b[2K")
            self._out.stderr.flush()
            self._drawn = False

    def _begin(self, step: str) -> None:
        self._step, self._begun = step, time.monotonic()
        self._drawn_at = 0.0
        if self._terminal:
            self._draw(f"{step} ...", 1)
        else:
            self._out.note(step)

    def _wait(self, event: BuildEvent) -> None:
        if self._terminal:
            how_far = f" [{event.done}/{event.total}]" if event.total else ""
            self._draw(f"{event.message}{how_far}", 0)
        elif not self._waiting:
            self._out.note(event.message)
        self._waiting = True

    def _draw(self, text: str, done: int) -> None:
        """Draws the line; `done` 0 or the first always, else ten times a second at most."""
        now = time.monotonic()
        if not self._terminal or (self._drawn and done > 1 and now - self._drawn_at < _SECONDS):
            return
        self._drawn, self._drawn_at = True, now
        self._out.stderr.write(f"\r\x1b[2K{text[: _columns(self._out.stderr.fileno()) - 1]}")
        self._out.stderr.flush()


def _bar(step: str, done: int, total: int, seconds: float) -> str:
    share = done / total
    full = round(_WIDTH * share)
    left = "" if share < _LATE else f", {_duration(seconds / share - seconds)} left"
    return f"{step} [{'#' * full}{'.' * (_WIDTH - full)}] {done}/{total}{left}"


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < _MINUTE else f"{whole // _MINUTE} min {whole % _MINUTE} s"


def _columns(descriptor: int) -> int:
    try:
        return os.get_terminal_size(descriptor).columns or 80
    except OSError:
        return 80
