# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of one call as it comes, read by generators that stop where they need more of it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator

Wait = Generator[None, None, None]
"""Reads on when resumed; each stop means: more text is needed."""
Reads = Generator[None, None, str]

MAX_NAME = 128
MAX_KEY = 4096
_SPACE = re.compile(r"[ \t\r\n]*")
_NAME = re.compile(r"[^\s<>{}\[\]\"'`,;()=|]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_OUTSIDE = re.compile(r'["{}\[\]]')
_INSIDE = re.compile(r'["\\]')
_SCALAR = re.compile(r"[^\s,}\]]*")


class Mismatch(Exception):  # noqa: N818 - what it is, in a word
    """The text is not what was being read."""


class Cut(Mismatch):
    """The text ended where more of it was needed."""


class Tape:
    """Text, and a place in it. The methods that read are generators; they raise Mismatch for other text."""

    def __init__(self) -> None:
        self.text = ""
        self.at = 0
        self.ended = False

    @property
    def rest(self) -> str:
        """What has not been read."""
        return self.text[self.at :]

    def more(self) -> Wait:
        """Waits for more text, of which there must be some."""
        if self.ended:
            raise Cut
        yield

    def space(self) -> Wait:
        """Over white space."""
        while True:
            match = _SPACE.match(self.text, self.at)
            assert match is not None
            self.at = match.end()
            if self.at < len(self.text) or self.ended:
                return
            yield

    def peek(self) -> Reads:
        """The next character that is no white space; empty at the end."""
        yield from self.space()
        return self.text[self.at : self.at + 1]

    def literal(self, words: str) -> Wait:
        """Over these words, and over white space before them."""
        yield from self.space()
        core = words.strip()
        while True:
            have = self.text[self.at : self.at + len(core)]
            if have == core:
                self.at += len(core)
                return
            if not core.startswith(have):
                raise Mismatch
            yield from self.more()

    def name(self) -> Reads:
        """A bare name."""
        yield from self.space()
        while True:
            match = _NAME.match(self.text, self.at)
            assert match is not None
            if len(match[0]) > MAX_NAME:
                raise Mismatch
            if match.end() < len(self.text):
                break
            yield from self.more()
        if not match[0]:
            raise Mismatch
        self.at = match.end()
        return match[0]

    def string(self) -> Reads:
        """A short JSON string, decoded."""
        yield from self.space()
        while (match := _STRING.match(self.text, self.at)) is None:
            if not '"'.startswith(self.text[self.at : self.at + 1]) or len(self.text) - self.at > MAX_KEY:
                raise Mismatch
            yield from self.more()
        self.at = match.end()
        try:
            return json.loads(match[0], strict=False)
        except ValueError:
            raise Mismatch from None

    def until(self, end: str, emit: Callable[[str], None]) -> Wait:
        """The text before `end`, and over that; what cannot begin `end` is handed on as it comes."""
        while (found := self.text.find(end, self.at)) < 0:
            keep = next((k for k in range(len(end) - 1, 0, -1) if self.text.endswith(end[:k], self.at)), 0)
            self._hand_on(len(self.text) - keep, emit)
            yield from self.more()
        self._hand_on(found, emit)
        self.at += len(end)

    def value(self, emit: Callable[[str], None]) -> Wait:
        """One JSON value, handed on as it comes. Its brackets are counted; what stands between them is not judged."""
        first = yield from self.peek()
        if not first:
            yield from self.more()
        if first not in '{["':
            yield from self._scalar(emit)
            return
        depth, quoted = 0, False
        seen = self.at
        while True:
            match = (_INSIDE if quoted else _OUTSIDE).search(self.text, seen)
            if match is None or (match[0] == "\\" and match.end() == len(self.text)):
                self._hand_on(len(self.text) if match is None else match.start(), emit)
                seen = 0
                yield from self.more()
                continue
            seen = match.end()
            if match[0] == "\\":
                seen += 1
                continue
            if match[0] == '"':
                quoted = not quoted
            else:
                depth += 1 if match[0] in "{[" else -1
            if depth == 0 and not quoted:
                self._hand_on(seen, emit)
                return

    def _scalar(self, emit: Callable[[str], None]) -> Wait:
        while True:
            match = _SCALAR.match(self.text, self.at)
            assert match is not None
            if match.end() < len(self.text) or self.ended:
                break
            yield
        if not match[0] or len(match[0]) > MAX_KEY:
            raise Mismatch
        self._hand_on(match.end(), emit)

    def _hand_on(self, end: int, emit: Callable[[str], None]) -> None:
        """Emits the text up to `end` and forgets it: arguments may be long, and were sent already."""
        if end > self.at:
            emit(self.text[self.at : end])
        self.text, self.at = self.text[end:], 0
