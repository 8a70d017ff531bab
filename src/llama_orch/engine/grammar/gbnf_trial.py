# SPDX-License-Identifier: GPL-3.0-or-later
"""A trial run of a grammar with the characters that are worst for it.

llama.cpp follows every way to read the answer at once, each with a copy of its whole stack. Their number can double
with each character, and a rule can nest thousands deep: a grammar like that would hold the decode thread, and every
other request with it. A trial cannot prove that a grammar is tame; what it misses ends by the clock
(`gbnf_constraint`).
"""

from __future__ import annotations

from llama_orch.engine.grammar.gbnf import Alternatives, Characters
from llama_orch.engine.grammar.gbnf_cursor import too_much

MAX_READINGS = 2_000
MAX_CELLS = 2_000_000
"""Stack entries that llama.cpp would copy to take one character."""
_CHARACTERS = 40
_WORK = 50_000
_CHOICES = 8

_Place = tuple[int, int, int]  # rule, alternative, index of the next element
_EMPTY = 0


class Trial:
    """The rules, and the stacks seen so far: numbers, equal for equal stacks; 0 is the empty one."""

    def __init__(self, rules: list[Alternatives]) -> None:
        self._rules = rules
        self._numbers: dict[tuple[_Place, int], int] = {}
        self._stacks: list[tuple[_Place, int]] = [((0, 0, 0), 0)]
        self._depths = [0]
        self._work = 0

    def run(self, root: int) -> None:
        """Raises BadRequest, `param` /grammar, when too many readings are open at once or stacks grow too deep."""
        readings = self._advance([self._push((root, index, 0), _EMPTY) for index in range(len(self._rules[root]))])
        for _ in range(_CHARACTERS):
            worst: set[int] = set()
            for code_point in self._choices(readings):
                following = self._advance(self._after(readings, code_point))
                worst = max(worst, following, key=len)
                if self._work > _WORK:
                    return
            readings = worst

    def _choices(self, readings: set[int]) -> list[int]:
        """Characters that many of the readings can take, at most a few."""
        votes: dict[int, int] = {}
        for characters in filter(None, map(self._top, readings)):
            choice = _outside(characters) if characters.inverted else characters.ranges[0][0]
            votes[choice] = votes.get(choice, 0) + 1
        return sorted(votes, key=lambda code_point: -votes[code_point])[:_CHOICES]

    def _after(self, readings: set[int], code_point: int) -> list[int]:
        found: list[int] = []
        for stack in readings:
            characters = self._top(stack)
            if characters is not None and characters.match(code_point):
                (rule, alternative, index), rest = self._stacks[stack]
                found.append(self._push((rule, alternative, index + 1), rest))
        self._work += len(readings)
        return found

    def _top(self, stack: int) -> Characters | None:
        if stack == _EMPTY:
            return None
        rule, alternative, index = self._stacks[stack][0]
        element = self._rules[rule][alternative][index]
        return element if isinstance(element, Characters) else None

    def _advance(self, todo: list[int]) -> set[int]:
        """The stacks with a character on top, or empty, that these lead to: as llama_grammar_advance_stack does."""
        found: set[int] = set()
        seen: set[int] = set()
        cells = 0
        while todo:
            stack = todo.pop()
            if stack in seen:
                continue
            seen.add(stack)
            cells += self._depths[stack]
            if stack == _EMPTY or self._top(stack) is not None:
                found.add(stack)
            else:
                todo.extend(self._expand(stack))
            if len(found) > MAX_READINGS:
                raise too_much(f"it is too ambiguous: one text can be read in more than {MAX_READINGS} ways")
            if cells > MAX_CELLS:
                raise too_much("its rules nest too deep")
        self._work += len(seen)
        return found

    def _expand(self, stack: int) -> list[int]:
        """The stacks that a rule's reference on top, or the end of one, stands for."""
        (rule, alternative, index), rest = self._stacks[stack]
        element = self._rules[rule][alternative][index]
        assert not isinstance(element, Characters)
        after = self._push((rule, alternative, index + 1), rest)
        return [self._push((element.rule, number, 0), after) for number in range(len(self._rules[element.rule]))]

    def _push(self, place: _Place, rest: int) -> int:
        """The stack with `place` on top; the rest alone when nothing of the alternative is left there."""
        rule, alternative, index = place
        if index == len(self._rules[rule][alternative]):
            return rest
        number = self._numbers.get((place, rest))
        if number is None:
            number = self._numbers[place, rest] = len(self._stacks)
            self._stacks.append((place, rest))
            self._depths.append(self._depths[rest] + 1)
        return number


def _outside(characters: Characters) -> int:
    return next(code_point for code_point in range(0x61, 0x110000) if characters.match(code_point))
