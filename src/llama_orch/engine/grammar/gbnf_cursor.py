# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of GBNF: names, characters, repetitions, white space, and where in the text they stand."""

from __future__ import annotations

import re
from typing import NoReturn

from llama_orch.engine.grammar.excess import excess
from llama_orch_utils.errors import BadRequest

MAX_REPETITIONS = 2_000  # llama.cpp's MAX_REPETITION_THRESHOLD
_MAX_BOUNDS = 100

NAME = re.compile(r"[a-zA-Z0-9-]+")
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_OR_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_BOUNDS = re.compile(r"\{[ \t]*([0-9]+)[ \t]*(,?)[ \t]*([0-9]*)[ \t]*\}")
_HEX = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}


def refusal(reason: str) -> BadRequest:
    """The error for a grammar that cannot be used."""
    return BadRequest(f"The grammar cannot be used: {reason}.", param="/grammar")


def too_much(reason: str) -> BadRequest:
    """The error for a grammar that is right, and more than can be held."""
    return excess(f"The grammar cannot be used: {reason}.", param="/grammar")


class Cursor:
    """A place in a GBNF text, moved on by what is read. Errors are BadRequest, with line and column."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at: int = 0

    def name(self) -> str:
        """A rule's name."""
        match = NAME.match(self._text, self._at)
        if match is None:
            self.fail("expected a rule's name")
        self._at = match.end()
        return match[0]

    def character(self) -> int:
        """The code point of a character or an escape."""
        char, begin = self.peek(), self._at
        if not char:
            self.fail("unexpected end")
        self._at += 1
        if char != "\\":
            return self._valid(ord(char))
        kind = self.peek()
        self._at += 1
        if kind in _ESCAPES:
            return ord(_ESCAPES[kind])
        digits = self._text[self._at : self._at + _HEX.get(kind, 0)]
        if not digits or len(digits) < _HEX[kind] or not re.fullmatch("[0-9a-fA-F]+", digits):
            self._at = begin
            self.fail(f"unknown escape '\\{kind}'")
        self._at += len(digits)
        return self._valid(int(digits, 16))

    def _valid(self, code_point: int) -> int:
        if not 0 < code_point <= 0x10FFFF or 0xD800 <= code_point <= 0xDFFF:  # noqa: PLR2004 - Unicode's own limits
            self.fail(f"U+{code_point:04X} is no character of a text")
        return code_point

    def bounds(self) -> tuple[int, int | None]:
        """The least and the greatest number of repetitions, None for no limit."""
        char = self.peek()
        if char != "{":
            self._at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        match = _BOUNDS.match(self._text, self._at)
        if match is None or (match[3] and not match[2]) or len(match[0]) > _MAX_BOUNDS:
            self.fail("expected {n}, {n,} or {n,m}")
        least = int(match[1])
        most = least if not match[2] else int(match[3]) if match[3] else None
        if least > MAX_REPETITIONS or (most is not None and (most > MAX_REPETITIONS or most < least)):
            self.fail(f"repetitions {match[0]} (at most {MAX_REPETITIONS}, in order)")
        self._at = match.end()
        return least, most

    def skip(self, *, lines: bool = False) -> None:
        """Over blanks and comments, and over line ends if `lines`."""
        match = (_SPACE_OR_LINES if lines else _SPACE).match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def peek(self) -> str:
        """The next character, empty at the end."""
        return self._text[self._at : self._at + 1]

    def where(self) -> str:
        """The place in words."""
        line = self._text.count("\n", 0, self._at) + 1
        return f"line {line}, column {self._at - (self._text.rfind(chr(10), 0, self._at) + 1) + 1}"

    def fail(self, reason: str) -> NoReturn:
        """Raises BadRequest with the place."""
        raise refusal(f"{reason} ({self.where()})")

    def stop(self, reason: str) -> NoReturn:
        """Raises what `too_much` gives, with the place."""
        raise too_much(f"{reason} ({self.where()})")
