# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation that `-c` or `--cid` goes on with, from the log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llama_orch.cli.failure import UsageError

if TYPE_CHECKING:
    from llama_orch.cli.run.asking import Asking
    from llama_orch_utils.types import Message


@dataclass(frozen=True, slots=True)
class Past:
    """A conversation so far: its `id` (empty: a new one), its system prompt, its turns, who answered last."""

    id: str = ""
    system: str | None = None
    messages: tuple[Message, ...] = ()
    model: str | None = None
    target: str | None = None


def wanted(options: Asking) -> Past:
    """What the options mean; an empty one unless they name a conversation. Raises UsageError."""
    if not options.resume and options.conversation is None:
        return Past()
    from llama_orch.cli.logs import store

    if options.conversation is None:
        latest = store.conversations(1)
        if not latest:
            raise UsageError("there is no conversation to go on with", hint="orch run 'Hello'")
        name = latest[0].id
    else:
        name = options.conversation
    turns = store.turns(name)
    if not turns:
        raise UsageError(f"there is no conversation '{name}'", hint="orch logs ls")
    messages: list[Message] = []
    for turn in turns:
        if turn.answer:
            messages.append({"role": "user", "content": turn.prompt})
            messages.append({"role": "assistant", "content": turn.answer})
    last = turns[-1]
    return Past(name, turns[0].system, tuple(messages), last.model or None, last.target)


def resumed(options: Asking, past: Past) -> Asking:
    """The options with the conversation's own target and model where the command names none.

    The demo does not count as chosen: where a real model has been configured since, that one goes on.
    """
    if not past.id or options.target is not None:
        return options
    from llama_orch.cli.run.connection import DEMO

    model = options.model or (past.model if past.model != DEMO else None)
    return replace(options, target=past.target, model=model)
