# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to a TAB: what can stand where the cursor is. Within 100 ms of CPU: names come from a cache file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from llama_orch.cli.command import Command, Group
from llama_orch.cli.options import Option, arguments_of, options_of
from llama_orch.cli.registry import COMMANDS

FILES = ":files"
Offer = tuple[str, str]


def complete(words: Sequence[str]) -> int:
    """`SHELL WORDS...`, the last of them unfinished (bash: the line as one word); prints the offers."""
    shell, *rest = words or ("bash",)
    typed = _of_line(rest[0] if rest else "") if shell == "bash" else list(rest or [""])
    begun = typed[-1]
    colon = begun.rfind(":") + 1 if shell == "bash" else 0
    fitting = [offer for offer in offers(typed) if offer[0] == FILES or offer[0].startswith(begun)]
    names = [offer for offer in fitting if offer[0] != FILES]
    for value, help_ in names:
        sys.stdout.write(f"{value[colon:]}\t{help_}\n" if help_ else f"{value[colon:]}\n")
    if fitting and not names:
        sys.stdout.write(f"{FILES}\n")
    return 0


def offers(typed: Sequence[str]) -> list[Offer]:
    """What can be the last of `typed` (the words behind `orch`), with a line of help each."""
    *before, begun = typed
    if not before:
        return _roots(begun)
    command, rest = _command(before)
    if isinstance(command, Group):
        listed = [(each.name, each.summary) for each in command.commands]
        default = command.find(command.default) if begun.startswith("-") else None
        return _of_command(default, rest, begun) if isinstance(default, Command) else listed if not rest else []
    return _of_command(command, rest, begun) if command else []


def _roots(begun: str) -> list[Offer]:
    if begun.startswith("-"):
        return [("--help", "show the commands"), ("--version", "print the version")]
    words = [(word, help_) for word, (_, help_) in COMMANDS.items()]
    return words + [(each, "applet") for each in _names("applets")]


def _command(before: Sequence[str]) -> tuple[Command[Any] | Group | None, list[str]]:
    from llama_orch.cli.dispatch import load

    word, *rest = before
    if word not in COMMANDS:
        return None, rest
    found = load(word)
    while isinstance(found, Group) and rest and (below := found.find(rest[0])):
        found, rest = below, rest[1:]
    return found, rest


def _of_command(command: Command[Any], before: Sequence[str], begun: str) -> list[Offer]:
    options = options_of(command.options)
    by_flag = {flag: option for option in options for flag in option.flags}
    waiting = by_flag.get(before[-1]) if before else None
    if waiting is not None and waiting.kind is not bool:
        return _values(waiting.choices, waiting.complete)
    flag, equals, _ = begun.partition("=")
    if equals and flag in by_flag:
        return [(f"{flag}={value}", help_) for value, help_ in _values(by_flag[flag].choices, by_flag[flag].complete)]
    if begun.startswith("-") and "--" not in before:
        return [*((option.name, option.help) for option in options), ("--help", "explain the command")]
    arguments = arguments_of(command.options)
    place = _arguments_before(before, by_flag)
    if place < len(arguments):
        return _values(arguments[place].choices, arguments[place].complete)
    if arguments and arguments[-1].many:
        return _values(arguments[-1].choices, arguments[-1].complete)
    return []


def _arguments_before(before: Sequence[str], by_flag: dict[str, Option]) -> int:
    count, skip = 0, False
    for word in before:
        if skip:
            skip = False
        elif word.startswith("-") and word != "-":
            skip = word in by_flag and by_flag[word].kind is not bool
        else:
            count += 1
    return count


def _values(choices: Iterable[str], kind: str) -> list[Offer]:
    if choices:
        return [(each, "") for each in choices]
    match kind:
        case "model" | "target" | "applet":
            found: list[Offer] = [(each, "") for each in _names(f"{kind}s")]
            return [*found, (FILES, "")] if kind == "model" else found
        case "worker":
            return [(each, "") for each in _names("models")]
        case "file":
            return [(FILES, "")]
        case "catalogue":
            from llama_orch.cli.completion.catalogue import fetchable

            return fetchable()
        case "setting":
            from llama_orch_utils.config.settings import SETTINGS

            return [(name, setting.help) for name, setting in SETTINGS.items()]
        case "topic":
            from llama_orch.cli.help.topics import TOPICS

            return [*((name, title) for name, (title, _) in TOPICS.items()), *_roots("")]
        case _:
            return []


def _names(kind: str) -> list[str]:
    from llama_orch.cli.completion.names import remembered

    return remembered(kind)


def _of_line(line: str) -> list[str]:
    """The line of bash up to the cursor as words, the first (`orch`) left out; an open quote ends with the line."""
    import shlex

    for closing in ("", '"', "'"):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        return [*words[1:], ""] if line[-1:].isspace() and not closing else words[1:] or [""]
    return [""]
