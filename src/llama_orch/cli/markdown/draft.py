# SPDX-License-Identifier: GPL-3.0-or-later
"""The text as it is, cut into lines of the terminal: what is shown until rich is loaded."""

from __future__ import annotations

import unicodedata


def columns(letter: str) -> int:
    """How many columns a character takes at most (Unicode Standard Annex 11; ambiguous ones count as wide)."""
    if unicodedata.combining(letter) or letter == "\u200b":
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WFA" else 1


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, cut anywhere."""
    lines: list[str] = []
    for source in text.expandtabs(8).split("\n"):
        line, used = "", 0
        for letter in source:
            wide = columns(letter)
            if used + wide > width:
                lines.append(line)
                line, used = "", 0
            line, used = line + letter, used + wide
        lines.append(line)
    return lines
