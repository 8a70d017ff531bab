# SPDX-License-Identifier: Apache-2.0
"""A long text in parts, cut where it hurts least."""

from __future__ import annotations

import re

# From the best place to cut to the worst: between paragraphs, lines, sentences (also Chinese and Japanese), words.
_SEAMS = tuple(map(re.compile, (r"\n[ \t]*\n\s*", r"\n", r"(?<=[.!?])\s+|(?<=[。！？])", r"\s+")))


def cut(text: str, longest: int) -> list[str]:
    """`text` in parts of at most `longest` characters (at least 1); joined they are the text, but for white space."""
    parts: list[str] = []
    rest = text.strip()
    while len(rest) > longest:
        place = _seam(rest, longest)
        parts.append(rest[:place].rstrip())
        rest = rest[place:].lstrip()
    return [*parts, rest] if rest else parts


def _seam(text: str, longest: int) -> int:
    """Where to cut: the last seam of the best kind in the second half of what fits; else just what fits."""
    for seam in _SEAMS:
        places = [found.start() for found in seam.finditer(text, 0, longest + 1) if 0 < found.start() <= longest]
        if places and places[-1] > longest // 2:
            return places[-1]
    return longest
