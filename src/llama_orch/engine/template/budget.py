# SPDX-License-Identifier: GPL-3.0-or-later
"""What one rendering of a chat template may cost: steps, seconds, characters."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence, Sized
from contextvars import ContextVar, Token
from typing import Any, Self, cast

from jinja2.exceptions import TemplateError
from jinja2.runtime import Undefined

MAX_SECONDS = 5.0
_STEPS, _STEPS_PER_MESSAGE, _STEPS_PER_VALUE = 200_000, 2_000, 20
_CHARACTERS, _CHARACTERS_PER_MESSAGE, _CHARACTERS_PER_VALUE, _CHARACTERS_PER_CHARACTER = 1_000_000, 1_000, 100, 8
_MAX_EXPONENT, _MAX_BASE = 64, 2**64
_MAX_WIDTH = 1_000
_PADDING_METHODS = frozenset(("center", "ljust", "rjust", "zfill", "expandtabs"))
_WIDE_PERCENT = re.compile(r"%[^a-zA-Z%]*(?:[0-9]{4,}|\*)")
_WIDE_BRACES = re.compile(r"\{[^{}]*:[^{}]*(?:[0-9]{4,}|\{)")
"""Widths that pad to thousands of characters, or that come from an argument."""


class Refusal(TemplateError):  # noqa: N818 - what happened, in a word
    """`raise_exception` was called: the template objects to the messages, in its own words."""


class Exceeded(TemplateError):  # noqa: N818
    """The budget is spent."""


class Budget:
    """What one rendering may cost. A context manager: inside it, the sandbox draws on this budget."""

    _current: ContextVar[Budget | None] = ContextVar("template_budget", default=None)

    def __init__(self, *, steps: int, characters: int, seconds: float = MAX_SECONDS) -> None:
        self._steps, self._characters, self._length = steps, characters, characters
        self._allowed = (steps, characters, seconds)
        self._ends = time.monotonic() + seconds
        self._token: Token[Budget | None] | None = None

    @classmethod
    def for_messages(cls, messages: Sequence[Mapping[str, Any]], more: object = ()) -> Budget:
        """Enough for any honest template: work and room grow linearly with the messages, and `more` of the kind."""
        (nodes, text), (extra, extra_text) = _extent(messages), _extent(more)
        return cls(
            steps=_STEPS + _STEPS_PER_MESSAGE * len(messages) + _STEPS_PER_VALUE * (nodes + extra),
            characters=_CHARACTERS
            + _CHARACTERS_PER_MESSAGE * len(messages)
            + _CHARACTERS_PER_VALUE * extra
            + _CHARACTERS_PER_CHARACTER * (text + extra_text),
        )

    @classmethod
    def current(cls) -> Budget:
        """The budget of the rendering under way; constants folded at compile time get a small one."""
        return cls._current.get() or cls(steps=1_000, characters=10_000)

    def __enter__(self) -> Self:
        self._token = self._current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._token is not None
        self._current.reset(self._token)

    def step(self, count: int = 1) -> None:
        """Pays for `count` passes or calls, and looks at the clock."""
        self._steps -= count
        if self._steps < 0:
            raise Exceeded(f"it takes more than {self._allowed[0]} steps")
        if time.monotonic() > self._ends:
            raise Exceeded(f"it takes more than {self._allowed[2]:g} seconds")

    def emit(self, count: int) -> None:
        """Pays for `count` characters of output."""
        self._length -= count
        if self._length < 0:
            raise Exceeded(f"it writes more than {self._allowed[1]} characters")

    def build(self, count: int) -> None:
        """Pays for a value of `count` characters or items that an expression is about to make."""
        # A template that collects its output in a variable copies it at each message: only single values are bounded
        # by the room, all of them together by a multiple of it.
        self._characters -= count // 64
        if count > self._allowed[1] or self._characters < 0:
            raise Exceeded(f"it builds values of more than {self._allowed[1]} characters")


def _extent(value: object) -> tuple[int, int]:
    """How many values lie in a value of JSON's kind, and how many characters they have."""
    count = text = 0
    level = [value]
    while level:
        one = level.pop()
        count += 1
        if isinstance(one, str):
            text += len(one)
        elif isinstance(one, Mapping):
            members = cast("Mapping[object, object]", one)
            level += members.keys()
            level += members.values()
        elif isinstance(one, list | tuple):
            level += cast("Sequence[object]", one)
    return count, text


def check_text_call(budget: Budget, text: str, method: str, args: tuple[Any, ...]) -> None:
    """Refuses a call of a text's own method that pads or multiplies beyond reason; pays for what it builds."""
    if method in {"format", "format_map"}:
        check_format(text)
    elif method in _PADDING_METHODS:
        check_widths(args)
    elif method == "replace" and len(args) > 1:
        budget.build(len(text) + text.count(str(args[0])) * size(args[1]))
    elif method == "join" and args:
        budget.build(len(text) * size(args[0]))


def check_widths(values: Iterable[object]) -> None:
    """Refuses numbers that would pad to thousands of characters."""
    for value in values:
        if isinstance(value, int) and abs(value) > _MAX_WIDTH:
            raise Exceeded(f"it pads to {value} characters")


def check_format(text: str) -> None:
    """Refuses a format, of `%` or of braces, that pads to thousands or takes its width from an argument."""
    if _WIDE_PERCENT.search(text) or _WIDE_BRACES.search(text):
        raise Exceeded("it formats with an unreasonable width")


def check_power(left: object, right: object) -> None:
    """Refuses powers with millions of digits."""
    if (
        isinstance(left, int | float)
        and isinstance(right, int | float)
        and (abs(right) > _MAX_EXPONENT or abs(left) > _MAX_BASE)
    ):
        raise Exceeded("it raises to an unreasonable power")


def size(value: object) -> int:
    """How many characters or items a value has; 0 if it has none."""
    return len(value) if isinstance(value, Sized) and not isinstance(value, Undefined) else 0


def product(left: object, right: object) -> int:
    """How many characters, items or digits `left * right` has, about."""
    if isinstance(left, int) and isinstance(right, int):
        return (left.bit_length() + right.bit_length()) // 3
    count = right if isinstance(right, int) else left if isinstance(left, int) else 0
    return max(size(left), size(right)) * max(count, 0)
