# SPDX-License-Identifier: GPL-3.0-or-later
"""From words to the command they mean, and its run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

from llama_orch.cli.command import Command, Group
from llama_orch.cli.failure import USAGE, UsageError
from llama_orch.cli.output import Mode, Output
from llama_orch.cli.registry import APPLETS, COMMANDS
from llama_orch.cli.suggest import nearest


def load(word: str) -> Command[Any] | Group:
    """What the registry names for `word`."""
    module, _, attribute = COMMANDS[word][0].partition(":")
    return getattr(importlib.import_module(module), attribute)


def find(words: Sequence[str]) -> tuple[Command[Any] | Group, list[str]]:
    """The command that the first words name, and the words left over. Raises UsageError with the nearest word."""
    word, *rest = words
    if word.startswith("-"):
        raise _unknown_option(word)
    if word not in COMMANDS:
        return _applet(word), rest
    found = load(word)
    while isinstance(found, Group) and rest and (below := found.find(rest[0])):
        found, rest = below, rest[1:]
    if isinstance(found, Command):
        return found, rest
    if (default := found.find(found.default)) and (not rest or _is_option(rest[0])):
        return default, rest
    if rest and not rest[0].startswith("-"):
        raise _unknown_word(rest[0], [each.name for each in found.commands], f"orch {found.path}")
    return found, rest


def run(command: Command[Any] | Group, words: Sequence[str]) -> int:
    """Parse the words that are left and run the command, or show its page."""
    from llama_orch.cli import page

    if isinstance(command, Group):
        return _show_group(command, words)
    from llama_orch.cli.parse import parse

    record = parse(command, words)
    if record is None:
        sys.stdout.write(page.command_page(command))
        return 0
    return command.run(record, output_of(record)) or 0


def output_of(record: object) -> Output:
    """The output that a record's `--json`, `-q` and `--color` ask for."""
    mode: Mode = "json" if getattr(record, "json", False) else "quiet" if getattr(record, "quiet", False) else "human"
    return Output(mode, getattr(record, "color", None))


def _show_group(group: Group, words: Sequence[str]) -> int:
    """`--help`: the page on stdout. Nothing at all: the page on stderr, and the code for usage."""
    from llama_orch.cli.page import group_page

    if words and words[0] in {"-h", "--help"}:
        sys.stdout.write(group_page(group))
        return 0
    if words:
        raise UsageError(f"orch {group.path} has no option '{words[0]}'", hint=f"orch {group.path} --help")
    sys.stderr.write(group_page(group))
    return USAGE


def _is_option(word: str) -> bool:
    return word.startswith("-") and word not in {"-h", "--help"}


def _applet(word: str) -> Command[Any]:
    """The applet of that name; else the nearest of all words."""
    applets = importlib.import_module(APPLETS)
    command: Command[Any] | None = applets.find(word, Output())
    if command is None:
        raise _unknown_word(word, [*COMMANDS, *applets.names()], "orch")
    return command


def _unknown_word(word: str, known: Sequence[str], where: str) -> UsageError:
    near = nearest(word, known)
    if near:
        return UsageError(f"{where} has no command '{word}'; did you mean '{near[0]}'?", hint=f"{where} {near[0]}")
    return UsageError(f"{where} has no command '{word}'", hint=f"{where} --help")


def _unknown_option(word: str) -> UsageError:
    near = nearest(word.partition("=")[0], ("--help", "--version"))
    if near:
        return UsageError(f"orch has no option '{word}'; did you mean '{near[0]}'?", hint=f"orch {near[0]}")
    return UsageError(f"orch has no option '{word}'; options follow the command", hint="orch --help")
