# SPDX-License-Identifier: GPL-3.0-or-later
"""The help pages, from the declarations: plain text, at most 100 columns."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from llama_orch.cli.registry import COMMANDS, SECTIONS, TOPIC_NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from llama_orch.cli.command import Command, Group
    from llama_orch.cli.options import Argument, Option

_WIDEST = 100
_HELP_ROW = ("-h, --help", "show this page")


def root_page() -> str:
    """`orch --help`, from the registry alone."""
    lines = ["Run a language model where it should run, and move it with one word.", "", "Usage: orch COMMAND ..."]
    lines += ["       orch NAME ...          an applet of that name"]
    for title, words in SECTIONS:
        lines += ["", f"{title}:", *rows((word, COMMANDS[word][1]) for word in words)]
    lines += ["", "Options:", *rows([_HELP_ROW, ("--version", "print the version")])]
    lines += ["", "orch COMMAND --help explains a command, orch help TOPIC a topic:", f"{', '.join(TOPIC_NAMES)}."]
    return "\n".join(lines) + "\n"


def group_page(group: Group) -> str:
    """The page of a word with commands below it."""
    lines = [f"{group.help}.", "", f"Usage: orch {group.path} COMMAND ...", "", "Commands:"]
    lines += rows((command.name, command.summary) for command in group.commands)
    if group.default:
        lines += ["", f"orch {group.path} alone means orch {group.path} {group.default}."]
    return "\n".join(lines) + "\n"


def command_page(command: Command[Any]) -> str:
    """The page of one command."""
    import inspect

    from llama_orch.cli.options import arguments_of, options_of

    options, arguments = options_of(command.options), arguments_of(command.options)
    usage = " ".join(["Usage: orch", command.path, *(usage_of(each) for each in arguments), "[options]"])
    lines = [*_folded(inspect.cleandoc(command.options.__doc__ or "")), "", usage]
    if arguments:
        lines += ["", "Arguments:", *rows((each.value, _said(each)) for each in arguments)]
    lines += ["", "Options:", *rows([*((flags_of(each), _said(each)) for each in options), _HELP_ROW])]
    if command.prints:
        lines += ["", "JSON keys:", *rows(command.prints.items())]
    if command.examples:
        lines += ["", "Examples:", *(f"  {each}" for each in command.examples)]
    return "\n".join(lines) + "\n"


def _folded(text: str) -> list[str]:
    """Paragraphs at the width of the terminal; one with an indented line (a list, a command) stays as it is."""
    import textwrap

    lines: list[str] = []
    for paragraph in text.split("\n\n"):
        as_it_is = any(line.startswith(" ") for line in paragraph.splitlines())
        lines += ["", *(paragraph.splitlines() if as_it_is else textwrap.wrap(paragraph, _columns()))]
    return lines[1:]


def usage_of(argument: Argument) -> str:
    """An argument in a usage line: brackets when it may be left out, dots when there may be more."""
    word = f"{argument.value}..." if argument.many else argument.value
    return word if argument.required else f"[{word}]"


def flags_of(option: Option) -> str:
    """An option as it is typed: `-m, --model MODEL`."""
    return ", ".join(option.flags) + (f" {option.value}" if option.value else "")


def rows(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Two columns, the second wrapped to the width of the terminal."""
    import textwrap

    pairs = list(pairs)
    left = min(max((len(name) for name, _ in pairs), default=0), 28)
    width = max(_columns() - left - 4, 20)
    lines: list[str] = []
    for name, text in pairs:
        first, *rest = textwrap.wrap(text, width) or [""]
        if len(name) > left:
            lines += [f"  {name}", f"  {'':{left}}  {first}"]
        else:
            lines.append(f"  {name:{left}}  {first}".rstrip())
        lines += [f"  {'':{left}}  {each}" for each in rest]
    return lines


def _said(declared: Option | Argument) -> str:
    """The help of an option or argument, with its choices, default and variable."""
    extra: list[str] = []
    if declared.choices:
        extra.append(f"one of {', '.join(declared.choices)}")
    default: object = getattr(declared, "default", None)
    if default not in (None, False, (), ""):
        extra.append(f"default {default}")
    if variable := getattr(declared, "variable", None):
        extra.append(f"or {variable}")
    if getattr(declared, "many", False) and hasattr(declared, "flags"):
        extra.append("may be given again")
    return f"{declared.help} ({'; '.join(extra)})" if extra else declared.help


def _columns() -> int:
    """The width to wrap at: of the terminal, at most 100; 100 off a terminal, so that pages do not vary."""
    try:
        return min(os.get_terminal_size(sys.stdout.fileno()).columns, _WIDEST)
    except (OSError, ValueError):
        return _WIDEST
