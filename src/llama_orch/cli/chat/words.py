# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a chat that begin with a slash."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.cli.chat.session import Session
    from llama_orch.cli.output import Output

# Words of the peers that mean /quit.
_ENDINGS = frozenset({"/quit", "/exit", "/bye"})


def is_word(message: str) -> bool:
    """Whether a message is for the command and not for the model: it begins with a slash, and not with a space."""
    return message.startswith("/")


def obey(message: str, session: Session, out: Output) -> bool:
    """Do what the word says; True for the end. Raises UsageError for an unknown word, and what the word raises."""
    word, _, rest = message.strip().partition(" ")
    if word in _ENDINGS:
        return True
    if word not in WORDS:
        from llama_orch.cli.suggest import nearest

        near = nearest(word, WORDS)
        meant = f"; did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"there is no word '{word}'{meant}", hint="/help (a space before the slash sends the line)")
    WORDS[word][1](rest.strip(), session, out)
    return False


def _help(_rest: str, _session: Session, out: Output) -> None:
    from llama_orch.cli.page import rows

    lines = rows((word, text) for word, (text, _) in WORDS.items())
    multi = 'A line that ends in \\ goes on in the next; """ begins and ends a text of many lines.'
    out.note("\n".join([*lines, "", multi, "^C stops an answer, ^D ends."]))


def _system(rest: str, session: Session, out: Output) -> None:
    if rest:
        session.system = None if rest == "-" else rest
    out.note(f"system prompt: {session.system}" if session.system else "there is no system prompt")


def _model(rest: str, session: Session, out: Output) -> None:
    if rest:
        session.switch(model=rest)
    out.note(session.partner())


def _target(rest: str, session: Session, out: Output) -> None:
    if rest:
        session.switch(target=rest, model=None)
    out.note(session.partner())


def _tools(rest: str, session: Session, out: Output) -> None:
    if rest == "-":
        session.tools.clear()
    elif rest:
        session.tools.add(rest)
    lines = session.tools.lines()
    out.note("\n".join(lines) if lines else "there are no tools; /tools FILE.py:FUNC adds one")


def _reasoning(rest: str, session: Session, out: Output) -> None:
    if rest not in ("", "show", "hide"):
        raise UsageError("/reasoning is show or hide", hint="/reasoning hide")
    if rest:
        session.thoughts = rest == "show"
    out.note("what the model thinks is " + ("shown" if session.thoughts else "hidden"))


def _save(rest: str, session: Session, out: Output) -> None:
    if not rest:
        raise UsageError("/save needs a file", hint="/save conversation.md")
    from llama_orch.cli.chat.transcript import write

    out.note(f"saved in {write(rest, session.said, session.system)}")


def _clear(_rest: str, session: Session, out: Output) -> None:
    session.clear()
    out.note("what was said is forgotten; the log keeps it")


def _usage(_rest: str, session: Session, out: Output) -> None:
    counts = session.totals
    answers = "1 answer" if counts["answers"] == 1 else f"{counts['answers']} answers"
    said = f"{answers}: {counts['input_tokens']} tokens in ({counts['cached_tokens']} cached)"
    out.note(f"{said}, {counts['output_tokens']} out")


def _quit(_rest: str, _session: Session, _out: Output) -> None:
    """Only for /help: `obey` knows the endings."""


WORDS: dict[str, tuple[str, Callable[[str, Session, Output], None]]] = {
    "/help": ("this list", _help),
    "/system": ("show the system prompt; /system TEXT sets it, /system - removes it", _system),
    "/model": ("show the model; /model NAME goes on with another one", _model),
    "/target": ("show the target; /target NAME goes on at another one", _target),
    "/tools": ("list the tools; /tools FILE.py:FUNC adds one, /tools - forgets all", _tools),
    "/reasoning": (
        "/reasoning hide keeps what the model thinks from the screen, /reasoning show brings it",
        _reasoning,
    ),
    "/save": ("/save FILE writes the conversation as Markdown, or as JSON into FILE.json", _save),
    "/clear": ("forget what was said so far", _clear),
    "/usage": ("the tokens of this conversation", _usage),
    "/quit": ("end (or ^D)", _quit),
}
