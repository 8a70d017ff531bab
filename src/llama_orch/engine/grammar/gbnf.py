# SPDX-License-Identifier: GPL-3.0-or-later
"""GBNF text to rules, exactly as llama.cpp reads it (llama.cpp, src/llama-grammar.cpp and grammars/README.md).

llama.cpp parses the text again. This reading comes first because llama.cpp tells its reasons only to stderr, recurses
as deep as the text nests, loops without end over `{5,3}`, and takes `{0,5000}` for "any number".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from llama_orch.engine.grammar.gbnf_cursor import MAX_REPETITIONS, NAME, Cursor, refusal, too_much
from llama_orch_utils.errors import UnsupportedByTarget

MAX_BYTES = 256 * 1024
MAX_NESTING = 100
MAX_RULES = 8_000
MAX_ELEMENTS = 200_000


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
        raise too_much(f"it is longer than {MAX_BYTES // 1024} KiB")
    return _Parser(text).grammar()


class _Parser(Cursor):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._grammar = Grammar()

    def grammar(self) -> Grammar:
        self.skip(lines=True)
        while self._at < len(self._text):
            self._rule()
        return self._grammar

    def _rule(self) -> None:
        name = self.name()
        number = self._number(name)
        if self._grammar.rules[number] is not None:
            self.fail(f"rule '{name}' is defined twice")
        self.skip()
        if not self._text.startswith("::=", self._at):
            self.fail(f"expected ::= after '{name}'")
        self._at += 3
        self.skip(lines=True)
        self._grammar.rules[number] = self._alternatives(nested=False)
        if self.peek() not in ("\r", "\n", ""):
            self.fail("expected a new line")
        self.skip(lines=True)

    def _alternatives(self, *, nested: bool) -> Alternatives:
        found = [self._sequence(nested=nested)]
        while self.peek() == "|":
            self._at += 1
            self.skip(lines=True)
            found.append(self._sequence(nested=nested))
        return found

    def _sequence(self, *, nested: bool) -> list[Element]:
        """Elements up to `|`, `)` or the end of the rule; a repetition applies to the last item."""
        sequence: list[Element] = []
        start, weight = 0, 1
        while char := self.peek():
            if char in "*+?{":
                least, most = self.bounds()
                if start == len(sequence):
                    self.fail(f"nothing to repeat before '{char}'")
                weight *= max(1, most or least)
                if weight > MAX_REPETITIONS:
                    self.stop(f"more than {MAX_REPETITIONS} repetitions")
                sequence[start:] = self._repeated(sequence[start:], least, most)
            elif (item := self._item(char)) is not None:
                start = len(sequence)
                elements, weight = item
                sequence += elements
            else:
                break
            self._count(len(sequence) - start)
            self.skip(lines=nested)
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
        if NAME.match(char):
            return [Reference(self._number(self.name()))], 1
        if char in "<!":
            raise UnsupportedByTarget(
                f"The grammar names tokens ({self.where()}); only characters are served.",
                capability="grammar tokens",
                param="/grammar",
            )
        return None

    def _group(self) -> tuple[list[Element], int]:
        if self._depth >= MAX_NESTING:
            self.stop(f"parentheses nest deeper than {MAX_NESTING}")
        self._at += 1
        self.skip(lines=True)
        before = len(self._grammar.rules)
        number = self._define(None)
        self._depth += 1
        self._grammar.rules[number] = self._alternatives(nested=True)
        self._depth -= 1
        if self.peek() != ")":
            self.fail("expected ')'")
        self._at += 1
        return [Reference(number)], len(self._grammar.rules) - before

    def _literal(self) -> list[Element]:
        self._at += 1
        found: list[Element] = []
        while self.peek() != '"':
            code_point = self.character()
            found.append(Characters(((code_point, code_point),)))
        self._at += 1
        return found

    def _class(self) -> Characters:
        self._at += 1
        inverted = self.peek() == "^"
        self._at += inverted
        ranges: list[tuple[int, int]] = []
        while self.peek() != "]":
            low = high = self.character()
            if self.peek() == "-" and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                high = self.character()
            if low > high:
                self.fail("a range of characters runs backwards")
            ranges.append((low, high))
        if not ranges:
            self.fail("an empty set of characters")
        self._at += 1
        self._count(2 * len(ranges))
        return Characters(tuple(ranges), inverted)

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
            self.stop(f"more than {MAX_RULES} rules, repetitions written out")
        self._grammar.rules.append(alternatives)
        return len(self._grammar.rules) - 1

    def _count(self, elements: int) -> None:
        self._grammar.elements += elements
        if self._grammar.elements > MAX_ELEMENTS:
            self.stop("it is too large with its repetitions written out")
