# SPDX-License-Identifier: GPL-3.0-or-later
"""GBNF text to rules, exactly as llama.cpp reads it (llama.cpp, src/llama-grammar.cpp and grammars/README.md).

llama.cpp parses the text again. This reading comes first because llama.cpp tells its reasons only to stderr, recurses
as deep as the text nests, loops without end over `{5,3}`, and takes `{0,5000}` for "any number".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from llama_orch_utils.errors import BadRequest, UnsupportedByTarget

MAX_BYTES = 256 * 1024
MAX_NESTING = 100
MAX_RULES = 8_000
MAX_ELEMENTS = 200_000
MAX_REPETITIONS = 2_000  # llama.cpp's MAX_REPETITION_THRESHOLD

_NAME = re.compile(r"[a-zA-Z0-9-]+")
_SPACE = re.compile(r"(?:[ \t]|#[^\r\n]*)*")
_SPACE_OR_LINES = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_BOUNDS = re.compile(r"\{[ \t]*([0-9]+)[ \t]*(,?)[ \t]*([0-9]*)[ \t]*\}")
_HEX = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n", "\\": "\\", '"': '"', "[": "[", "]": "]", "-": "-"}


class Characters(NamedTuple):
    """One character: in one of the inclusive ranges of code points, or in none of them when `inverted`."""

    ranges: tuple[tuple[int, int], ...]
    inverted: bool = False

    def match(self, code_point: int) -> bool:
        """Whether this character can be `code_point`."""
        return any(low <= code_point <= high for low, high in self.ranges) != self.inverted


class Reference(NamedTuple):
    """Whatever the rule with this number produces."""

    rule: int


Element = Characters | Reference
Alternatives = list[list[Element]]


@dataclass
class Grammar:
    """`rules[number]` are a rule's alternatives, None while it is only referred to; `names` the numbers by name."""

    rules: list[Alternatives | None] = field(default_factory=list[Alternatives | None])
    names: dict[str, int] = field(default_factory=dict[str, int])
    elements: int = 0


def parse(text: str) -> Grammar:
    """The rules of a GBNF text. Raises BadRequest with line and column, `param` /grammar."""
    if "\0" in text:
        raise refusal("it contains a NUL character")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise refusal(f"it is longer than {MAX_BYTES // 1024} KiB")
    return _Parser(text).grammar()


def refusal(reason: str) -> BadRequest:
    """The error for a grammar that cannot be used."""
    return BadRequest(f"The grammar cannot be used: {reason}.", param="/grammar")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._grammar = Grammar()

    def grammar(self) -> Grammar:
        self._skip(lines=True)
        while self._at < len(self._text):
            self._rule()
        return self._grammar

    def _rule(self) -> None:
        name = self._name()
        number = self._number(name)
        if self._grammar.rules[number] is not None:
            self._fail(f"rule '{name}' is defined twice")
        self._skip()
        if not self._text.startswith("::=", self._at):
            self._fail(f"expected ::= after '{name}'")
        self._at += 3
        self._skip(lines=True)
        self._grammar.rules[number] = self._alternatives(nested=False)
        if self._peek() not in ("\r", "\n", ""):
            self._fail("expected a new line")
        self._skip(lines=True)

    def _alternatives(self, *, nested: bool) -> Alternatives:
        found = [self._sequence(nested=nested)]
        while self._peek() == "|":
            self._at += 1
            self._skip(lines=True)
            found.append(self._sequence(nested=nested))
        return found

    def _sequence(self, *, nested: bool) -> list[Element]:
        """Elements up to `|`, `)` or the end of the rule; a repetition applies to the last item."""
        sequence: list[Element] = []
        start, weight = 0, 1
        while char := self._peek():
            if char in "*+?{":
                least, most = self._bounds()
                if start == len(sequence):
                    self._fail(f"nothing to repeat before '{char}'")
                weight *= max(1, most or least)
                if weight > MAX_REPETITIONS:
                    self._fail(f"more than {MAX_REPETITIONS} repetitions")
                sequence[start:] = self._repeated(sequence[start:], least, most)
            elif (item := self._item(char)) is not None:
                start = len(sequence)
                elements, weight = item
                sequence += elements
            else:
                break
            self._count(len(sequence) - start)
            self._skip(lines=nested)
        return sequence

    def _item(self, char: str) -> tuple[list[Element], int] | None:
        """One item, and how many rules it stands for; None where no item begins."""
        if char == '"':
            return self._literal(), 1
        if char == "[":
            return [self._class()], 1
        if char == ".":
            self._at += 1
            return [Characters((), inverted=True)], 1
        if char == "(":
            return self._group()
        if _NAME.match(char):
            return [Reference(self._number(self._name()))], 1
        if char in "<!":
            raise UnsupportedByTarget(
                f"The grammar names tokens ({self._where()}); only characters are served.",
                capability="grammar tokens",
                param="/grammar",
            )
        return None

    def _group(self) -> tuple[list[Element], int]:
        if self._depth >= MAX_NESTING:
            self._fail(f"parentheses nest deeper than {MAX_NESTING}")
        self._at += 1
        self._skip(lines=True)
        before = len(self._grammar.rules)
        number = self._define(None)
        self._depth += 1
        self._grammar.rules[number] = self._alternatives(nested=True)
        self._depth -= 1
        if self._peek() != ")":
            self._fail("expected ')'")
        self._at += 1
        return [Reference(number)], len(self._grammar.rules) - before

    def _literal(self) -> list[Element]:
        self._at += 1
        found: list[Element] = []
        while self._peek() != '"':
            code_point = self._character()
            found.append(Characters(((code_point, code_point),)))
        self._at += 1
        return found

    def _class(self) -> Characters:
        self._at += 1
        inverted = self._peek() == "^"
        self._at += inverted
        ranges: list[tuple[int, int]] = []
        while self._peek() != "]":
            low = high = self._character()
            if self._peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self._character()
            if low > high:
                self._fail("a range of characters runs backwards")
            ranges.append((low, high))
        if not ranges:
            self._fail("an empty set of characters")
        self._at += 1
        self._count(2 * len(ranges))
        return Characters(tuple(ranges), inverted)

    def _character(self) -> int:
        char, begin = self._peek(), self._at
        if not char:
            self._fail("unexpected end")
        self._at += 1
        if char != "\\":
            return self._valid(ord(char))
        kind = self._peek()
        self._at += 1
        if kind in _ESCAPES:
            return ord(_ESCAPES[kind])
        digits = self._text[self._at : self._at + _HEX.get(kind, 0)]
        if not digits or len(digits) < _HEX[kind] or not re.fullmatch("[0-9a-fA-F]+", digits):
            self._at = begin
            self._fail(f"unknown escape '\\{kind}'")
        self._at += len(digits)
        return self._valid(int(digits, 16))

    def _valid(self, code_point: int) -> int:
        if not 0 < code_point <= 0x10FFFF or 0xD800 <= code_point <= 0xDFFF:  # noqa: PLR2004 - Unicode's own limits
            self._fail(f"U+{code_point:04X} is no character of a text")
        return code_point

    def _bounds(self) -> tuple[int, int | None]:
        """The least and the greatest number of repetitions, None for no limit."""
        char = self._peek()
        if char != "{":
            self._at += 1
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        match = _BOUNDS.match(self._text, self._at)
        if match is None or (match[3] and not match[2]) or len(match[0]) > MAX_NESTING:
            self._fail("expected {n}, {n,} or {n,m}")
        least = int(match[1])
        most = least if not match[2] else int(match[3]) if match[3] else None
        if least > MAX_REPETITIONS or (most is not None and (most > MAX_REPETITIONS or most < least)):
            self._fail(f"repetitions {match[0]} (at most {MAX_REPETITIONS}, in order)")
        self._at = match.end()
        return least, most

    def _repeated(self, item: list[Element], least: int, most: int | None) -> list[Element]:
        """As llama.cpp rewrites it: S{m,n} to m times S and a chain of n-m optional rules."""
        self._count(len(item) * least)
        found = item * least
        if most is None:
            number = self._define(None)
            self._grammar.rules[number] = [[*item, Reference(number)], []]
            return [*found, Reference(number)]
        last: int | None = None
        for _ in range(most - least):
            self._count(len(item) + 1)
            last = self._define([item if last is None else [*item, Reference(last)], []])
        return found if last is None else [*found, Reference(last)]

    def _number(self, name: str) -> int:
        """The named rule's number, a new one at its first mention."""
        if name not in self._grammar.names:
            self._grammar.names[name] = self._define(None)
        return self._grammar.names[name]

    def _define(self, alternatives: Alternatives | None) -> int:
        if len(self._grammar.rules) >= MAX_RULES:
            self._fail(f"more than {MAX_RULES} rules, repetitions written out")
        self._grammar.rules.append(alternatives)
        return len(self._grammar.rules) - 1

    def _count(self, elements: int) -> None:
        self._grammar.elements += elements
        if self._grammar.elements > MAX_ELEMENTS:
            self._fail("it is too large with its repetitions written out")

    def _name(self) -> str:
        match = _NAME.match(self._text, self._at)
        if match is None:
            self._fail("expected a rule's name")
        self._at = match.end()
        return match[0]

    def _skip(self, *, lines: bool = False) -> None:
        match = (_SPACE_OR_LINES if lines else _SPACE).match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _where(self) -> str:
        line = self._text.count("\n", 0, self._at) + 1
        return f"line {line}, column {self._at - (self._text.rfind(chr(10), 0, self._at) + 1) + 1}"

    def _fail(self, reason: str) -> NoReturn:
        raise refusal(f"{reason} ({self._where()})")
