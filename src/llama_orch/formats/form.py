# SPDX-License-Identifier: GPL-3.0-or-later
"""What a format is: data that the parser reads answers by and that grammars are made from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Slot(Enum):
    """A place in a call: the tool's name, an id that the model makes up, the arguments as JSON or as XML elements."""

    NAME = "name"
    ID = "id"
    ARGUMENTS = "arguments"
    PARAMETERS = "parameters"


@dataclass(frozen=True, slots=True)
class Object:
    """A JSON object with the tool's name and its arguments under any of these keys; grammars write the first of each.

    `head` is a regular expression of the members that grammars write before the name. `loose`: grammars leave it to
    the model which of the keys it writes.
    """

    name: tuple[str, ...] = ("name", "function")
    arguments: tuple[str, ...] = ("arguments", "parameters")
    head: str = ""
    loose: bool = False

    def key(self, names: tuple[str, ...]) -> str:
        """A regular expression of the quoted key that grammars write."""
        return f'"(?:{"|".join(names)})"' if self.loose else f'"{names[0]}"'


@dataclass(frozen=True, slots=True)
class Array:
    """A JSON list of such objects."""

    item: Object = Object()


Step = str | Slot | Object | Array
"""Of strings only what is no white space counts to the parser; grammars leave white space to the model."""


@dataclass(frozen=True, slots=True)
class CallForm:
    """One way to write a call: its steps in order.

    `before` and `after` enclose all calls of an answer, `between` stands between two. `written` False: it is read, and
    no grammar writes it. `bare`: it begins with JSON, not with a mark; so it counts only at the beginning of the
    answer, and only with the name of a tool that there is.
    """

    steps: tuple[Step, ...]
    before: str = ""
    between: str = "\n"
    after: str = ""
    written: bool = True
    bare: bool = False

    @property
    def mark(self) -> str:
        """The text that the form begins with, for one that is not bare."""
        first = self.steps[0]
        assert isinstance(first, str)
        return first

    @property
    def trigger(self) -> str:
        """The text from which on a free answer is a call of this form."""
        return self.before or self.mark


@dataclass(frozen=True, slots=True)
class Format:
    """How the models of a family write.

    `signs` are texts by which a chat template is known to be of the family: all of one of the tuples. `shown` are the
    control tokens whose text the parser has to see. `thoughts` are pairs of marks around thoughts, `silent` marks that
    are no part of any text. `channels`: answers are messages with a header each (gpt-oss). `announced`: the chat
    template tells the model about tools; else somebody has to. `call_id_length`: the template takes ids of calls only
    of so many letters and digits.
    """

    name: str
    signs: tuple[tuple[str, ...], ...] = ()
    calls: tuple[CallForm, ...] = ()
    thoughts: tuple[tuple[str, str], ...] = ()
    silent: tuple[str, ...] = ()
    channels: bool = False
    announced: bool = True
    call_id_length: int | None = None

    @property
    def shown(self) -> tuple[str, ...]:
        """The control tokens whose text the parser has to see, by name. A text that is no token does no harm."""
        marks = dict.fromkeys(CHANNEL_MARKS if self.channels else ())
        for form in self.calls:
            texts = (form.before, form.after, *(step for step in form.steps if isinstance(step, str)))
            marks |= dict.fromkeys(text.strip() for text in texts)
        marks |= dict.fromkeys(mark for pair in self.thoughts for mark in pair)
        marks |= dict.fromkeys(self.silent)
        return tuple(mark for mark in marks if mark[:1] in ("<", "[") and len(mark) > 1)


CHANNEL_MARKS = ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>")
"""The marks of OpenAI's harmony format."""
