# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model thinks before it answers, on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_orch.cli.output import printable

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


class Reasoning:
    """Shows reasoning dimmed until the answer begins; later reasoning would run into the answer and is not shown."""

    def __init__(self, out: Output, *, hidden: bool = False) -> None:
        self._out = out
        self._open = not out.quiet and not hidden
        self._shown = False

    def write(self, text: str) -> None:
        """Show a piece of reasoning."""
        if self._open and text:
            self._shown = True
            self._out.stderr.write(self._out.paint(printable(text), "dim", stream=self._out.stderr))
            self._out.stderr.flush()

    def end(self) -> None:
        """The answer begins."""
        if self._shown and self._open:
            self._out.stderr.write("\n\n")
            self._out.stderr.flush()
        self._open = False
