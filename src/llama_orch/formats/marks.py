# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking for marks in a text that is still coming."""

from __future__ import annotations

import re
from collections.abc import Iterable


class Marks:
    """Some marks, of which none begins another. False when there are none."""

    def __init__(self, marks: Iterable[str]) -> None:
        self._marks = tuple(dict.fromkeys(mark for mark in marks if mark))
        self._pattern = re.compile("|".join(map(re.escape, self._marks)))
        self._firsts = tuple({mark[0] for mark in self._marks})
        self._prefixes = frozenset(mark[:length] for mark in self._marks for length in range(1, len(mark)))
        self._longest = max(map(len, self._prefixes), default=0)

    def __bool__(self) -> bool:
        return bool(self._marks)

    def touch(self, text: str) -> bool:
        """Whether the text may hold a mark, or the beginning of one: a quick answer, wrong only where it says yes."""
        return any(first in text for first in self._firsts)

    def search(self, text: str) -> tuple[int, str] | None:
        """The first mark in the text, and where it begins."""
        match = self._pattern.search(text) if self.touch(text) else None
        return (match.start(), match[0]) if match else None

    def at_beginning(self, text: str) -> str | None:
        """The mark that the text begins with."""
        match = self._pattern.match(text) if self._marks else None
        return match[0] if match else None

    def may_begin(self, text: str) -> bool:
        """Whether the whole text is the beginning of a mark."""
        return text in self._prefixes

    def partial(self, text: str) -> int:
        """How many characters at the text's end may be the beginning of a mark."""
        near = max(0, len(text) - self._longest)
        starts = [at for first in self._firsts if (at := text.find(first, near)) >= 0]
        for at in range(min(starts, default=len(text)), len(text)):
            if text[at:] in self._prefixes:
                return len(text) - at
        return 0
