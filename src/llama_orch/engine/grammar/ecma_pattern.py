# SPDX-License-Identifier: GPL-3.0-or-later
"""Regular expressions of JSON Schema (ECMA-262) as llguidance reads them (Rust's regex).

The dialects differ in what they allow to be escaped, in what a bracket means within a class, and in what a blank, a
digit or a letter is. Where they differ about a character, a pattern is made narrower: what it takes then, all of
ECMA-262, Python's `re` and Rust take.
"""

from __future__ import annotations

import re

_BLANKS = r"\t\n\x0B\x0C\r \x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_BLANKS_OF_ANY = _BLANKS + r"\x{1c}-\x{1f}\x{85}\x{feff}"
_LINE_ENDS = r"\n\r\x{2028}\x{2029}"
_NARROW = {
    "d": "[0-9]", "D": r"[^\p{Nd}]", "w": "[0-9A-Za-z_]", "W": r"[^\p{L}\p{N}\p{M}_]",
    "s": f"[{_BLANKS}]", "S": f"[^{_BLANKS_OF_ANY}]",
}  # fmt: skip
_WIDE = {
    "d": r"[\p{Nd}]", "D": "[^0-9]", "w": r"[\p{L}\p{N}\p{M}_]", "W": "[^0-9A-Za-z_]",
    "s": f"[{_BLANKS_OF_ANY}]", "S": f"[^{_BLANKS}]",
}  # fmt: skip
"""What any of the dialects counts to a class: within a negated class it is what has to be left out."""
_CONTROLS = {"t": 9, "n": 10, "v": 11, "f": 12, "r": 13, "0": 0}
_HEX = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}")
_LOW_HALF = re.compile(r"\\u([dD][c-fC-F][0-9A-Fa-f]{2})")
_PROPERTY = re.compile(r"[pP]\{[A-Za-z0-9_=]+\}")
_COUNT = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_GROUP = re.compile(r"\(\?(?::|<[A-Za-z_][A-Za-z0-9_]*>)")


class Untranslatable(ValueError):  # noqa: N818 - what it is, in a word
    """What of a pattern cannot be had, in words."""


class Pattern:
    """`text` is the pattern as llguidance reads it; `exact` that it takes neither more nor less than the original."""

    def __init__(self, source: str) -> None:
        self._source, self._at = source, 0
        self.exact = True
        self.text = "".join(self._pieces())

    def _pieces(self) -> list[str]:
        pieces: list[str] = []
        while self._at < len(self._source):
            char = self._source[self._at]
            if char == "\\":
                self._at += 1
                pieces.append(self._escape(_NARROW))
            elif char == "[":
                pieces.append(self._class())
            else:
                pieces.append(self._plain(char))
        return pieces

    def _plain(self, char: str) -> str:
        if char == ".":
            self._at += 1
            return f"[^{_LINE_ENDS}]"
        if char == "{" or self._source.startswith("(?", self._at):
            match = (_COUNT if char == "{" else _GROUP).match(self._source, self._at)
            if match is None:
                words = "look-around and inline flags" if char == "(" else "a brace that is no count"
                raise Untranslatable(f"{words} cannot be held")
            self._at = match.end()
            return match[0].replace("(?<", "(?P<")
        self._at += 1
        return char if char in "^$|()*+?" else _literal(ord(char))

    def _escape(self, kinds: dict[str, str]) -> str:
        """What follows a backslash."""
        rest = self._source[self._at :]
        if rest[:1] in kinds and rest:
            self._at += 1
            self.exact = False
            return kinds[rest[0]]
        if match := _PROPERTY.match(rest):
            self._at += match.end()
            return "\\" + match[0]
        return _literal(self._code_point(rest))

    def _code_point(self, rest: str) -> int:
        """The character that is written as an escape."""
        if match := _HEX.match(rest):
            self._at += match.end()
            value = int(match[1] or match[2] or match[3], 16)
            low = _LOW_HALF.match(self._source, self._at)
            if 0xD800 <= value < 0xDC00 and low is not None:  # noqa: PLR2004 - UTF-16's halves
                self._at = low.end()
                return 0x10000 + ((value - 0xD800) << 10) + int(low[1], 16) - 0xDC00
            return value
        self._at += 1
        if not rest:
            raise Untranslatable("it ends with a backslash")
        if rest[0] in _CONTROLS and not rest[1:2].isdecimal():
            return _CONTROLS[rest[0]]
        if rest[0] == "c" and rest[1:2].isascii() and rest[1:2].isalpha():
            self._at += 1
            return ord(rest[1]) % 32
        if rest[0].isalnum() or not rest[0].isascii():
            raise Untranslatable(f"the escape \\{rest[0]} cannot be held")
        return ord(rest[0])

    def _class(self) -> str:
        """A class in brackets, every character of it written so that no dialect takes it for something else."""
        self._at += 1
        negated = self._source.startswith("^", self._at)
        self._at += negated
        kinds = _WIDE if negated else _NARROW
        items: list[str] = []
        while not self._source.startswith("]", self._at):
            first = self._class_item(kinds)
            if self._is_range() and not first.startswith("[") and not first.startswith("\\p"):
                self._at += 1
                last = self._class_item(kinds)
                if last.startswith(("[", "\\p", "\\P")):
                    items += [first, _literal(ord("-")), last]
                else:
                    items.append(f"{first}-{last}")
            else:
                items.append(first)
        self._at += 1
        if not items:
            raise Untranslatable("a class without characters cannot be held")
        return f"[{'^' if negated else ''}{''.join(items)}]"

    def _is_range(self) -> bool:
        return self._source.startswith("-", self._at) and not self._source.startswith("-]", self._at)

    def _class_item(self, kinds: dict[str, str]) -> str:
        if self._at >= len(self._source):
            raise Untranslatable("a class is unclosed")
        char = self._source[self._at]
        self._at += 1
        if char != "\\":
            return _literal(ord(char))
        if self._source.startswith("b", self._at):
            self._at += 1
            return _literal(8)
        return self._escape(kinds)


def _literal(code_point: int) -> str:
    if 0xD800 <= code_point < 0xE000 or code_point > 0x10FFFF:  # noqa: PLR2004
        raise Untranslatable("half a character cannot be held")
    char = chr(code_point)
    return char if char.isascii() and char.isalnum() else f"\\x{{{code_point:x}}}"
