# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch help [TOPIC | COMMAND]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, argument

if TYPE_CHECKING:
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Help(Printing):
    """Explain a command or a topic; without a word, list both."""

    words: tuple[str, ...] = argument(
        "TOPIC", help="a topic, or the words of a command", required=False, many=True, complete="topic"
    )


def help_(options: Help, out: Output) -> None:
    """The page on stdout: it is what was asked for."""
    page = _page(options.words)
    if out.json:
        out.data({"topic": " ".join(options.words), "text": page})
    elif out.quiet and not options.words:
        from llama_orch.cli.help.topics import TOPICS

        out.write("".join(f"{name}\n" for name in TOPICS))
    else:
        out.write(page)


def _page(words: tuple[str, ...]) -> str:
    from llama_orch.cli.dispatch import find
    from llama_orch.cli.help.topics import TOPICS, index, text
    from llama_orch.cli.page import command_page, group_page, root_page
    from llama_orch.cli.registry import COMMANDS

    if not words:
        return f"{root_page()}\n{index()}"
    if len(words) == 1 and words[0] in TOPICS:
        if words[0] not in COMMANDS:
            return text(words[0])
        found, _ = find(words)
        return f"{text(words[0])}\n{command_page(found) if isinstance(found, Command) else group_page(found)}"
    if words[0] not in COMMANDS:
        raise _unknown(" ".join(words), [*TOPICS, *COMMANDS])
    found, rest = find(words)
    if rest:
        raise _unknown(" ".join(words), [*TOPICS, *COMMANDS])
    return command_page(found) if isinstance(found, Command) else group_page(found)


def _unknown(word: str, known: list[str]) -> UsageError:
    from llama_orch.cli.suggest import nearest

    near = nearest(word, known)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    return UsageError(f"there is no help on '{word}'{meant}", hint=f"orch help {near[0]}" if near else "orch help")


HELP = Command(
    "help",
    Help,
    help_,
    ("orch help exit-codes", "orch help models link"),
    {"topic": "what was asked for", "text": "the page"},
)
