# SPDX-License-Identifier: GPL-3.0-or-later
"""`-x`: the first fenced code block of an answer."""

from __future__ import annotations

import re

# CommonMark 0.31, 4.5: up to three spaces, three or more backticks or tildes, then the info string.
_OPENING = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")


def first(text: str) -> str | None:
    """The code of the first fence without its fences, with a line break at its end; None if there is none.

    A fence that is never closed ends with the text.
    """
    lines = text.splitlines()
    for start, line in enumerate(lines):
        if opening := _OPENING.match(line):
            fence = opening[1]
            return "".join(f"{code}\n" for code in _inside(lines[start + 1 :], fence, line.index(fence[0])))
    return None


def _inside(lines: list[str], fence: str, indent: int) -> list[str]:
    found: list[str] = []
    for line in lines:
        bare = line.strip()
        if len(line) - len(line.lstrip(" ")) <= 3 and len(bare) >= len(fence) and set(bare) == {fence[0]}:  # noqa: PLR2004 - CommonMark's indent
            break
        found.append(line[min(indent, len(line) - len(line.lstrip(" "))) :])
    return found
