# SPDX-License-Identifier: Apache-2.0
r"""Messages and threads from what is at hand: a text, lines, a list of turns.

thread("system: You are brief.\nuser: Why is the sky blue?")
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from textwrap import dedent
from typing import cast, get_args

from llama_orch_utils.errors import BadRequest
from llama_orch_utils.messages import Message, Role

_TURN = re.compile(r"(?P<role>[A-Za-z]+):(?:[ \t]+(?P<text>.*))?", re.DOTALL)
_ROLES = frozenset({"system", "developer", "user", "assistant"})
_LEADING = 2


def message(text: str, role: Role = "user") -> Message:
    """One turn of the `text` without the indent that all its lines share. Raises BadRequest for an empty one."""
    if role not in get_args(Role):
        raise BadRequest(f"{role!r} is no role", param="/messages", hint=f"there are: {', '.join(sorted(_ROLES))}")
    plain = dedent(text).strip()
    if not plain:
        raise BadRequest("a message is empty", param="/messages", hint="give some text")
    return {"role": role, "content": plain}


def thread(text: str | Iterable[str]) -> list[Message]:
    """The turns of a text, or of lines: one begins at each line `role: …` without an indent of its own.

    Further lines belong to the turn above them, and so does a line like `note: …`, which names no role. Raises
    BadRequest with the line for a text before the first turn, and for an empty turn.
    """
    body = text if isinstance(text, str) else "\n".join(line.rstrip("\r\n") for line in text)
    turns: list[tuple[int, Role, list[str]]] = []
    for number, line in enumerate(dedent(body).split("\n"), 1):
        match = _TURN.fullmatch(line)
        if match and match["role"].lower() in _ROLES:
            turns.append((number, cast("Role", match["role"].lower()), [match["text"] or ""]))
        elif turns:
            turns[-1][2].append(line)
        elif line.strip():
            raise BadRequest(f"line {number} belongs to no turn", param="/messages", hint="begin it: user: …")
    if not turns:
        raise BadRequest("there are no messages", param="/messages", hint="user: …")
    return [_turn(*turn) for turn in turns]


def _turn(number: int, role: Role, lines: list[str]) -> Message:
    content = "\n".join([lines[0], dedent("\n".join(lines[1:]))]).strip()
    if not content:
        raise BadRequest(f"line {number}: the turn of {role} is empty", param="/messages", hint="give some text")
    return {"role": role, "content": content}


def alternating(texts: Iterable[str], system: str | None = None) -> list[Message]:
    """Turns of user and assistant by turns, the user's first. Raises BadRequest for an empty one, and for none."""
    turns = [message(text, "assistant" if place % _LEADING else "user") for place, text in enumerate(texts)]
    if not turns:
        raise BadRequest("there are no messages", param="/messages", hint="give at least one")
    return [*([message(system, "system")] if system else []), *turns]
