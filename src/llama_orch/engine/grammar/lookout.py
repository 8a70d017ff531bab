# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a text for what announces a call, byte by byte as it comes."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_OPENING = 4096
"""Bytes after which an answer has begun otherwise than `opening` says."""


class Lookout:
    """Text, and the place in it where a call begins.

    `triggers` count wherever they stand outside of `asides` (pairs of marks, an empty first one at the beginning),
    `opening`, a regular expression, where the answer or what follows an aside begins; its group 1 is what counts.
    """

    def __init__(self, triggers: Sequence[str], opening: str | None, asides: Sequence[tuple[str, str]]) -> None:
        self._closes = {begin.encode(): close.encode() for begin, close in asides if begin}
        marks = [trigger.encode() for trigger in triggers]
        self._marks = re.compile(b"|".join(map(re.escape, (*marks, *self._closes))) or rb"(?!)")
        self._opening = re.compile(opening.encode(), re.DOTALL) if opening else None
        self._longest = max(map(len, (*marks, *self._closes, *self._closes.values())), default=1)
        self._aside = next((close.encode() for begin, close in asides if not begin), None)
        self._text = b""
        self._head = self._opening is not None  # the text begins where the answer, or what follows an aside, does

    def probe(self, piece: bytes) -> int | None:
        """How many bytes before the end of the text and `piece` a call begins; None: it does not."""
        return self._look(self._text + piece)[0]

    def push(self, piece: bytes) -> int:
        """Takes `piece`, with which no call begins. How many of the last bytes a later call may begin in."""
        _, self._text, self._aside, self._head = self._look(self._text + piece)
        return len(self._text)

    def _look(self, text: bytes) -> tuple[int | None, bytes, bytes | None, bool]:
        """Where a call begins, counted from the end; what still matters of the text; the aside's end; whether a head.

        A head is text that begins where the answer, or what follows an aside, begins.
        """
        at, aside, head = 0, self._aside, self._head
        while True:
            if aside is not None:
                found = text.find(aside, at)
                if found < 0:
                    return None, text[max(at, len(text) - len(aside) + 1) :], aside, False
                at, aside, head = found + len(aside), None, self._opening is not None
            match = self._marks.search(text, at)
            opening = self._opening.match(text, at) if head and self._opening is not None else None
            if opening is not None and (match is None or opening.start(1) < match.start()):
                return len(text) - opening.start(1), text, None, head
            if match is None:
                head = head and text[at:].lstrip()[:1] in (b"", b"{", b"[") and len(text) - at < MAX_OPENING
                return None, text[at:] if head else text[max(at, len(text) - self._longest + 1) :], None, head
            aside = self._closes.get(match[0])
            if aside is None:
                return len(text) - match.start(), text, None, head
            at = match.end()
