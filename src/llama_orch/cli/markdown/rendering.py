# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks to lines of the terminal, by rich."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llama_orch.cli.markdown.blocks import Block

if TYPE_CHECKING:
    from rich.segment import Segment

# One line: comparing segments leaves out the random ids of links, which comparing escape codes would not.
Line = Sequence["Segment"]


class Renderer:
    """Renders for one terminal; `coloured` False keeps bold and italic and drops the colours."""

    def __init__(self, *, coloured: bool) -> None:
        from rich.console import COLOR_SYSTEMS, Console
        from rich.markdown import Markdown

        self._coloured = coloured
        self._console = Console(
            file=sys.stdout, force_terminal=True, legacy_windows=False, highlight=False, markup=False, emoji=False
        )
        self._colours = COLOR_SYSTEMS.get(self._console.color_system or "", None)
        # rich loads the rest of itself with the first page; whoever has a Renderer can count on it being quick.
        self._console.render_lines(Markdown("*"))

    def lines(self, blocks: Sequence[Block], width: int) -> list[Line]:
        """The lines of `blocks` at `width` columns, not padded."""
        from markdown_it.token import Token
        from rich.markdown import Markdown

        if not blocks:
            return []
        page = Markdown("")
        page.parsed = [token for block in blocks for token in block.tokens]
        if blocks[0].spaced:
            # rich puts the empty line when something came before: this renders as nothing at all.
            page.parsed.insert(0, Token("html_block", "", 0))
        options = self._console.options.update(width=width, height=None)
        return list(self._console.render_lines(page, options, pad=False))

    def codes(self, line: Line) -> str:
        """The text of a line with its escape codes."""
        return "".join(self._code(segment) for segment in line if not segment.control)

    def _code(self, segment: Segment) -> str:
        if segment.style is None:
            return segment.text
        style = segment.style if self._coloured else segment.style.without_color
        return style.render(segment.text, color_system=self._colours)
