# SPDX-License-Identifier: GPL-3.0-or-later
"""A pull on a terminal's stderr: a bar with rate and time left. Elsewhere only what has to be known, one line each."""

from __future__ import annotations

import os
import time
from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Self

from llama_orch.cli.output import one_line, printable, size

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.models.download.progress import Step
    from llama_orch.models.pull import Plan

_WIDTH = 24
_EVERY_SECONDS = 0.1
_WINDOW_SECONDS = 5.0
_MINUTE, _HOUR = 60, 3600
_FIGURES, _SHORTEST = 84, 16


class Meter:
    """Listens to a pull. The line that it draws is gone when the block ends."""

    def __init__(self, plan: Plan, out: Output) -> None:
        self._out = out
        self._terminal = not out.quiet and out.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._sizes = {each.file.name: each.file.size for each in plan.files if each.state != "held"}
        self._done: dict[str, int] = {}
        self._seen: deque[tuple[float, int]] = deque()
        self._drawn_at = 0.0
        self._drawn = False
        self._waited = False
        self._kind = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def __call__(self, step: Step) -> None:
        """Show one step."""
        if step.kind == "trouble":
            self._clear()
            self._out.note(f"note: {step.message}")
            self._seen.clear()
        elif step.kind == "waiting" and not self._terminal:
            if not self._waited:
                self._out.note(f"note: another pull fetches {step.file}; waiting for it")
            self._waited = True
        elif self._terminal:
            if step.kind != self._kind:  # what is read from the disk is no measure for the network
                self._seen.clear()
            self._kind = step.kind
            self._sizes[step.file] = step.size
            self._done[step.file] = step.done
            self._draw(step)

    def _draw(self, step: Step) -> None:
        now = time.monotonic()
        if self._drawn and now - self._drawn_at < _EVERY_SECONDS and step.done != step.size:
            return
        self._drawn, self._drawn_at = True, now
        columns = _columns(self._out.stderr.fileno())
        line = self._line(step, now, max(columns - _FIGURES, _SHORTEST))
        self._out.stderr.write(f"\r\x1b[2K{printable(line)[: columns - 1]}")
        self._out.stderr.flush()

    def _line(self, step: Step, now: float, width: int) -> str:
        verb = {"waiting": "another pull fetches ", "checking": "checking "}.get(step.kind, "")
        done, total = sum(self._done.values()), self._total()
        title = one_line(f"{verb}{step.file}", width)
        if total is None:
            return f"{title}  {size(done)}{self._pace(done, None, now)}"
        full = _WIDTH * done // max(total, 1)
        share = f"{100 * done // max(total, 1)} %"
        bar = f"[{'#' * full}{'.' * (_WIDTH - full)}]"
        return f"{title} {bar} {share}  {size(done)} of {size(total)}{self._pace(done, total, now)}"

    def _total(self) -> int | None:
        sizes = list(self._sizes.values())
        return None if None in sizes else sum(each or 0 for each in sizes)

    def _pace(self, done: int, total: int | None, now: float) -> str:
        """Rate over the last seconds, and what is left at that rate."""
        self._seen.append((now, done))
        while now - self._seen[0][0] > _WINDOW_SECONDS and len(self._seen) > 2:  # noqa: PLR2004 - two make a rate
            self._seen.popleft()
        seconds, count = now - self._seen[0][0], done - self._seen[0][1]
        if seconds <= 0 or count <= 0:
            return ""
        rate = count / seconds
        left = f"  {_duration((total - done) / rate)} left" if total is not None else ""
        return f"  {size(rate)}/s{left}"

    def _clear(self) -> None:
        if self._drawn:
            self._out.stderr.write("\r\x1b[2K")
            self._out.stderr.flush()
            self._drawn = False


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def _columns(descriptor: int) -> int:
    try:
        return os.get_terminal_size(descriptor).columns or 80
    except OSError:
        return 80
