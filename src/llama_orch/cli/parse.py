# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a command line, read into the options record of the command.

`--name value`, `--name=value`, `-n value`, `-nvalue`, bundled flags (`-qn3`), `--` ends the options, `-` is an
argument.
No abbreviations: what is not known is an error with the nearest name, never a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Argument, Common, Option, arguments_of, options_of

if TYPE_CHECKING:
    from llama_orch.cli.command import Command

Record = TypeVar("Record", bound=Common)
HELP = ("-h", "--help")


def parse(command: Command[Record], words: Sequence[str]) -> Record | None:
    """The record that `words` mean; None when they ask for help. Raises UsageError."""
    reader = _Reader(command.path, command.options)
    if not reader.read(list(words)):
        return None
    return command.options(**reader.finish())


class _Reader:
    """One pass over the words of one command."""

    def __init__(self, path: str, record: type[Common]) -> None:
        self._path = path
        self._options = {each: option for option in options_of(record) for each in option.flags}
        self._arguments = list(arguments_of(record))
        self._values: dict[str, Any] = {}
        self._plain: list[str] = []

    def read(self, words: list[str]) -> bool:
        """Take all words in; False when help is asked for."""
        while words:
            word = words.pop(0)
            if word == "--":
                self._plain += words
                return True
            if word in HELP:
                return False
            if word.startswith("--"):
                self._long(word, words)
            elif word.startswith("-") and word != "-":
                self._short(word, words)
            else:
                self._plain.append(word)
        return True

    def finish(self) -> dict[str, Any]:
        """The values by field, arguments dealt out in their order."""
        left = self._plain
        for argument in self._arguments:
            taken, left = (left, []) if argument.many else (left[:1], left[1:])
            if not taken:
                if argument.required:
                    raise self._error(f"{argument.value} is missing")
                continue
            for each in taken:
                self._allowed(argument.value, argument, each)
            self._values[argument.field] = tuple(taken) if argument.many else taken[0]
        if left:
            raise self._error(f"unexpected argument '{left[0]}'")
        return self._values

    def _long(self, word: str, words: list[str]) -> None:
        name, has_value, value = word.partition("=")
        option = self._find(name)
        if option.kind is bool:
            if has_value:
                raise self._error(f"{name} takes no value")
            self._values[option.field] = True
        else:
            self._set(option, name, value if has_value else self._next(name, option, words))

    def _short(self, word: str, words: list[str]) -> None:
        for place, letter in enumerate(word[1:], start=2):
            name = f"-{letter}"
            if name in HELP:
                raise self._error(f"-h stands alone, not in '{word}'")
            option = self._find(name, word)
            if option.kind is bool:
                self._values[option.field] = True
                continue
            rest = word[place:]
            self._set(option, name, rest.removeprefix("=") if rest else self._next(name, option, words))
            return

    def _next(self, name: str, option: Option, words: list[str]) -> str:
        if not words or words[0] in self._options or words[0] == "--":
            raise self._error(f"{name} needs a value: {name} {option.value}")
        return words.pop(0)

    def _set(self, option: Option, name: str, text: str) -> None:
        self._allowed(name, option, text)
        value = _number(option, text) if option.kind in (int, float) else text
        if value is None:
            raise self._error(f"{name} needs {_range(option)}, not '{text}'")
        if option.many:
            self._values[option.field] = (*self._values.get(option.field, ()), value)
        else:
            self._values[option.field] = value

    def _allowed(self, name: str, declared: Option | Argument, text: str) -> None:
        if declared.choices and text not in declared.choices:
            from llama_orch.cli.suggest import nearest

            near = nearest(text, declared.choices)
            meant = f"; did you mean '{near[0]}'?" if near else ""
            raise self._error(f"{name} is one of {', '.join(declared.choices)}, not '{text}'{meant}")

    def _find(self, name: str, word: str | None = None) -> Option:
        if option := self._options.get(name):
            return option
        from llama_orch.cli.suggest import nearest

        inside = f" (in '{word}')" if word and word != name else ""
        near = nearest(name, (*self._options, "--help")) if name.startswith("--") else ()
        message = f"orch {self._path} has no option '{name}'{inside}"
        if near:
            raise self._error(f"{message}; did you mean '{near[0]}'?", option=near[0])
        raise self._error(message)

    def _error(self, message: str, option: str | None = None) -> UsageError:
        hint = f"orch {self._path} {option}" if option and option != "--help" else f"orch {self._path} --help"
        return UsageError(message, hint=hint)


def _number(option: Option, text: str) -> int | float | None:
    """The number that `text` is, when it is one and within the bounds."""
    try:
        value = int(text) if option.kind is int else float(text)
    except ValueError:
        return None
    if value != value or (option.least is not None and value < option.least):  # noqa: PLR0124 - not a number
        return None
    return None if option.most is not None and value > option.most else value


def _range(option: Option) -> str:
    """What a number has to be, in words."""
    kind = "a whole number" if option.kind is int else "a number"
    if option.least is not None and option.most is not None:
        return f"{kind} from {option.least:g} to {option.most:g}"
    if option.least is not None:
        return f"{kind}, {option.least:g} or more"
    return kind if option.most is None else f"{kind}, {option.most:g} or less"
