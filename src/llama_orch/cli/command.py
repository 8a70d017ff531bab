# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command is: a name, an options record, and the function that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from llama_orch.cli.options import Common
    from llama_orch.cli.output import Output

    Record = TypeVar("Record", bound=Common)
else:
    Record = TypeVar("Record")


@dataclass(frozen=True)
class Command(Generic[Record]):
    """One command.

    `path` is what is typed after `orch` ("models ls"); `options` the record class, whose docstring is the help (first
    line: the summary); `run` takes the parsed record and the output, and returns the exit code (None: 0). It raises
    `OrchError` for everything that can go wrong. `examples` are whole command lines for the help page, `prints` the
    keys of its JSON and what each means.
    """

    path: str
    options: type[Record]
    run: Callable[[Record, Output], int | None]
    examples: tuple[str, ...] = ()
    prints: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path.rpartition(" ")[2]

    @property
    def summary(self) -> str:
        """The first line of the help."""
        return (self.options.__doc__ or "").strip().partition("\n")[0].rstrip(".")


@dataclass(frozen=True)
class Group:
    """A word with commands or further groups below it.

    `default` is the command that `orch WORD` alone means, if it means one.
    """

    path: str
    help: str
    commands: tuple[Command[Any] | Group, ...]
    default: str | None = None

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path.rpartition(" ")[2]

    @property
    def summary(self) -> str:
        """The line in the list of the group above."""
        return self.help

    def find(self, word: str | None) -> Command[Any] | Group | None:
        """The command or the group of that name, or None."""
        return next((command for command in self.commands if command.name == word), None)

    def walk(self) -> Iterator[Command[Any]]:
        """Every command below, in order."""
        for each in self.commands:
            if isinstance(each, Group):
                yield from each.walk()
            else:
                yield each
