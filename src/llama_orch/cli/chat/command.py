# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch chat`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.run.asking import Asking

if TYPE_CHECKING:
    from llama_orch.cli.chat.keyboard import Keyboard
    from llama_orch.cli.chat.session import Session
    from llama_orch.cli.output import Output


@dataclass(frozen=True, kw_only=True)
class Chat(Asking):
    '''Hold a conversation on the terminal.

    A line is sent with Enter. A line that ends in a backslash goes on in the next one; a text between two """ may have
    many lines. /help lists the words that begin with a slash. ^C stops an answer, ^D ends the conversation.
    '''


def chat(options: Chat, out: Output) -> int | None:
    """Read, ask, show, until the end of input."""
    if not sys.stdin.isatty():
        raise UsageError("orch chat needs a terminal to read from", hint="orch run 'the question' < FILE")
    from llama_orch.cli.chat.keyboard import Keyboard
    from llama_orch.cli.chat.session import Session

    if options.quiet:
        out.mode = "quiet"
    session = Session(options, out)
    with session, Keyboard(out, keep=not options.no_log) as keyboard:
        out.note(session.greeting())
        _converse(session, keyboard, out)
    return None


def _converse(session: Session, keyboard: Keyboard, out: Output) -> None:
    """One message after the other. Raises KeyboardInterrupt for the second `^C` in a row at the prompt."""
    from llama_orch.cli.chat import words
    from llama_orch_utils.errors import OrchError

    stopping = False
    while True:
        try:
            message = keyboard.read()
        except KeyboardInterrupt:
            if stopping:
                raise
            stopping = True
            out.note("(^C again or ^D ends the conversation)")
            continue
        stopping = False
        if message is None:
            return
        try:
            if words.is_word(message):
                if words.obey(message, session, out):
                    return
            elif message.strip():
                session.ask(message)
        except OrchError as error:
            out.error(error.message, error.hint)


CHAT = Command(
    "chat",
    Chat,
    chat,
    ("orch chat", "orch chat -m ./qwen3-0.6b-q8_0.gguf -s 'Answer in one sentence.'", "orch chat -c"),
)
