# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the blocks of a growing Markdown text end.

CommonMark is parsed line by line, and a top-level block that was closed is never opened again (CommonMark 0.31, "Phase
1: block structure"). So every block but the last of the whole lines that came is final; the last one, and the line
that has not ended yet, are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it.token import Token


@dataclass(frozen=True, slots=True)
class Block:
    """One top-level block: its tokens, and `spaced`, whether rich puts an empty line before it."""

    tokens: Sequence[Token]
    spaced: bool


class Blocks:
    """The text so far, taken apart: `push` gives the blocks that became final, `tail` what is not final."""

    def __init__(self) -> None:
        from markdown_it import MarkdownIt

        # As rich.markdown.Markdown sets it up, so that its rendering of the whole is the same.
        self._parser = MarkdownIt().enable("strikethrough").enable("table")
        # Link definitions of earlier blocks, in the shape of markdown-it's `env["references"]`.
        self._references: dict[str, Any] = {}
        self._text = ""
        self._looked = 0
        self._spaced = False

    def push(self, piece: str) -> list[Block]:
        """Take `piece` in; the blocks that nothing to come can change, in order."""
        self._text += piece
        ends = self._text.rfind("\n") + 1
        if ends <= self._looked:
            return []
        self._looked = ends
        groups = self._groups(self._text[:ends], {"references": self._references})
        if len(groups) < 2:  # noqa: PLR2004 - one block is the last one
            return []
        cut = _line_starts(self._text, _first_line(groups[-1]))
        final = [self._block(tokens) for tokens in groups[:-1]]
        self._text, self._looked = self._text[cut:], ends - cut
        return final

    def tail(self) -> list[Block]:
        """What has not become final yet, as it would be if nothing followed; the state stays as it is."""
        spaced = self._spaced
        groups = self._groups(self._text, {"references": dict(self._references)})
        found = [self._block(tokens) for tokens in groups]
        self._spaced = spaced
        return found

    def _groups(self, text: str, env: dict[str, Any]) -> list[list[Token]]:
        """The tokens of each top-level block."""
        groups: list[list[Token]] = []
        for token in self._parser.parse(text, env):
            if token.level == 0 and token.nesting >= 0:
                groups.append([])
            groups[-1].append(token)
        return groups

    def _block(self, tokens: list[Token]) -> Block:
        block = Block(tokens, self._spaced)
        self._spaced = tokens[-1].type != "hr"  # rich's rule brings its own empty line
        return block


def _first_line(tokens: list[Token]) -> int:
    place = tokens[0].map
    if place is None:  # every block token has one: markdown-it's contract
        raise AssertionError(tokens[0].type)
    return place[0]


def _line_starts(text: str, line: int) -> int:
    place = 0
    for _ in range(line):
        place = text.index("\n", place) + 1
    return place
