# SPDX-License-Identifier: GPL-3.0-or-later
"""A real terminal for a test: a pty, everything that was written to it, and the screen that comes of it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

import pexpect
import pyte

ORCH = [sys.executable, "-m", "llama_orch.cli"]
SECONDS = 20.0


class Terminal:
    """A command on a pty of `columns` x `lines`; `written` is every byte that came out of it."""

    def __init__(self, *command: str, columns: int = 80, lines: int = 24, env: dict[str, str] | None = None) -> None:
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUNBUFFERED": "1", **(env or {})}
        self.written = b""
        self.screen = pyte.HistoryScreen(columns, lines, history=10000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self._child: Any = pexpect.spawn(
            command[0], list(command[1:]), dimensions=(lines, columns), env=environment, timeout=SECONDS
        )

    @property
    def pid(self) -> int:
        return self._child.pid

    def lines(self) -> list[str]:
        """Every line, those that scrolled off included, without empty ones at the end."""
        return text_of(self.screen)

    def text(self) -> str:
        return "\n".join(self.lines())

    def read(self) -> bool:
        """Take in what is there; False at the end."""
        try:
            data = self._child.read_nonblocking(65536, timeout=0.05)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.written += data
        self._stream.feed(data)
        return True

    def wait(self, wanted: str | Callable[[], object], seconds: float = SECONDS) -> None:
        """Until `wanted` is on the screen (or true)."""
        deadline = time.monotonic() + seconds
        is_there = wanted if callable(wanted) else lambda: wanted in self.text()
        while not is_there():
            alive = self.read()
            if not alive and not is_there():
                raise AssertionError(f"it ended without {wanted!r}:\n{self.text()}")
            assert time.monotonic() < deadline, f"no {wanted!r}:\n{self.text()}"

    def type(self, text: str) -> None:
        self._child.send(text)

    def press(self, letter: str) -> None:
        """Ctrl and a letter."""
        self._child.sendcontrol(letter)

    def resize(self, columns: int, lines: int) -> None:
        self._child.setwinsize(lines, columns)
        self.screen.resize(lines, columns)

    def end(self) -> int:
        """Read to the end; the exit code, or minus the signal."""
        deadline = time.monotonic() + SECONDS
        while self.read():
            assert time.monotonic() < deadline, self.text()
        self._child.close()
        return self._child.exitstatus if self._child.exitstatus is not None else -self._child.signalstatus

    def close(self) -> None:
        self._child.close(force=True)


def text_of(screen: pyte.HistoryScreen) -> list[str]:
    rows = [*screen.history.top, *(screen.buffer[row] for row in range(screen.lines))]
    lines = [_row(row, screen.columns) for row in rows]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _row(row: Any, columns: int) -> str:
    return "".join(row[column].data for column in range(columns)).rstrip()
