# SPDX-License-Identifier: GPL-3.0-or-later
"""The last lines of the screen, which may still change; what is above them is never touched.

Escape codes are ECMA-48's; frames are wrapped in synchronised updates (DEC private mode 2026), which terminals that do
not know them ignore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TextIO, TypeVar

Line = TypeVar("Line")

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_ERASE_BELOW, _ERASE_LINE = "\x1b[J", "\x1b[2K"


class Region(Generic[Line]):
    """The live lines. The cursor rests at the start of the line below them.

    `codes` turns a line into what is written. Nothing here moves the cursor above the first live line.
    """

    def __init__(self, stream: TextIO, codes: Callable[[Line], str]) -> None:
        self._stream = stream
        self._codes = codes
        self._shown: list[Line] = []

    def update(self, final: Sequence[Line], live: Sequence[Line]) -> None:
        """Print `final` lines for good, above the `live` ones, which may be no more than the screen's height less 1."""
        if not final and list(live) == self._shown:
            return
        wanted = [*final, *live]
        same = _common(self._shown, wanted)
        codes = [_BEGIN]
        if up := len(self._shown) - same:
            codes.append(f"\x1b[{up}A\r")
        for place, line in enumerate(wanted[same:], start=same):
            # Erased before, not behind: behind a line as wide as the screen the cursor is still on its last character.
            erase = _ERASE_LINE if place < len(self._shown) else ""
            codes.append(f"{erase}{self._codes(line)}\n")
        if len(wanted) < len(self._shown):
            codes.append(_ERASE_BELOW)
        self._stream.write("".join([*codes, _END]))
        self._stream.flush()
        self._shown = list(live)

    def erase(self) -> None:
        """Take the live lines away: the terminal changed its size, or other lines come; `update` draws them anew."""
        if self._shown:
            self._stream.write(f"\x1b[{len(self._shown)}A\r{_ERASE_BELOW}")
            self._shown = []


def _common(shown: Sequence[object], wanted: Sequence[object]) -> int:
    """How many lines at the top are the same."""
    count = 0
    for before, after in zip(shown, wanted, strict=False):
        if before != after:
            break
        count += 1
    return count
