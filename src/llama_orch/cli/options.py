# SPDX-License-Identifier: GPL-3.0-or-later
"""Options and arguments, declared as fields of a command's options record.

    @dataclass(frozen=True, kw_only=True)
    class Link(Printing):
        "Use a GGUF file where it lies."

        file: str = argument("FILE", help="a GGUF file", complete="file")
        name: str | None = option("-n", "--name", value="NAME", help="what to call it")

A record inherits from `Common` (`--color`), or from `Printing` (also `--json` and `-q`). The declarations feed the
parser, the help pages, the completion and the reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal

APPLETS_OWN = "input_"
"""How the fields of an applet's input begin: they come first on its page."""
Kind = type[str] | type[int] | type[float] | type[bool]
Completes = Literal[
    "", "model", "catalogue", "target", "applet", "file", "command", "topic", "setting", "shell", "worker"
]


@dataclass(frozen=True)
class Option:
    """A declared option: `flags` such as ("-m", "--model"); a `kind` of bool takes no value.

    `value` is the word for its value in the help, `choices` the only values allowed, `least` and `most` the bounds of
    a number, `many` that it may be given again, `complete` what TAB offers, `variable` the environment variable that
    stands behind it.
    """

    field: str
    flags: tuple[str, ...]
    help: str
    kind: Kind
    value: str
    choices: tuple[str, ...]
    many: bool
    complete: Completes
    least: float | None
    most: float | None
    variable: str | None
    default: object

    @property
    def name(self) -> str:
        """The long flag: how messages call it."""
        return self.flags[-1]


@dataclass(frozen=True)
class Argument:
    """A declared argument; `many` takes all that are left, `required` refuses none."""

    field: str
    value: str
    help: str
    required: bool
    many: bool
    choices: tuple[str, ...]
    complete: Completes


def option(
    *flags: str,
    help: str,  # noqa: A002 - it is what argparse, click and typer call it
    value: str = "TEXT",
    kind: Kind = str,
    default: object = None,
    choices: tuple[str, ...] = (),
    many: bool = False,
    complete: Completes = "",
    bounds: tuple[float | None, float | None] = (None, None),
    variable: str | None = None,
) -> Any:  # stands where the default stands, as dataclasses.field does
    """Declare an option with a value (`kind` str, int or float); `many` collects a tuple."""
    spec = {
        "flags": flags, "help": help, "kind": kind, "value": value, "choices": choices, "many": many,
        "complete": complete, "least": bounds[0], "most": bounds[1], "variable": variable,
    }  # fmt: skip
    return field(default=() if many and default is None else default, metadata={"option": spec})


def flag(*flags: str, help: str, variable: str | None = None) -> Any:  # noqa: A002 - as `option`
    """Declare an option without a value: False unless given."""
    spec = {
        "flags": flags, "help": help, "kind": bool, "value": "", "choices": (), "many": False,
        "complete": "", "least": None, "most": None, "variable": variable,
    }  # fmt: skip
    return field(default=False, metadata={"option": spec})


def argument(
    value: str,
    *,
    help: str,  # noqa: A002 - as `option`
    required: bool = True,
    many: bool = False,
    choices: tuple[str, ...] = (),
    complete: Completes = "",
) -> Any:
    """Declare an argument; not required means None, `many` collects a tuple of all that are left."""
    spec = {"value": value, "help": help, "required": required, "many": many, "choices": choices, "complete": complete}
    return field(default=() if many else None, metadata={"argument": spec})


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command takes."""

    color: str | None = option("--color", value="WHEN", help="colour the output", choices=("auto", "always", "never"))


@dataclass(frozen=True, kw_only=True)
class Printing(Common):
    """What every command takes that prints data."""

    json: bool = flag("--json", help="print JSON with stable keys")
    quiet: bool = flag("-q", "--quiet", help="print ids only")


def options_of(record: type[Common]) -> Sequence[Option]:
    """The options of a record class: its own first, the common ones last."""
    found = [
        Option(field=each.name, default=None if each.default is MISSING else each.default, **each.metadata["option"])
        for each in fields(record)
        if "option" in each.metadata
    ]
    common = {each.name for each in fields(Printing)}
    return sorted(found, key=lambda each: (each.field in common, not each.field.startswith(APPLETS_OWN)))


def arguments_of(record: type[Common]) -> Sequence[Argument]:
    """The arguments of a record class, in order."""
    return [
        Argument(field=each.name, **each.metadata["argument"]) for each in fields(record) if "argument" in each.metadata
    ]
