# SPDX-License-Identifier: Apache-2.0
"""The minutes as they are given out, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from pydantic import BaseModel

_MARKUP = re.compile(r"([\\`*_\[\]<>|#])")


class Noted(BaseModel):
    """A decision or an open question, with the words that show it."""

    text: str
    quote: str
    place: str


class Action(BaseModel):
    """What somebody is to do; `when` are the words that said the day."""

    task: str
    owner: str | None
    due: date | None
    when: str | None
    quote: str
    place: str


def markdown(
    title: str,
    held: date | None,
    decisions: Sequence[Noted],
    actions: Sequence[Action],
    questions: Sequence[Noted],
    footer: str = "",
) -> str:
    """The minutes as Markdown; what was said cannot change its layout. The lines of `footer` stand below a rule."""
    head = f"# {_plain(title)}" + (f", {held.isoformat()}" if held else "")
    rows = [
        f"| {_plain(each.task)} | {_plain(each.owner or '')} | "
        f"{each.due.isoformat() if each.due else _plain(each.when or '')} |"
        for each in actions
    ]
    table = ["| Task | Owner | Due |\n|---|---|---|\n" + "\n".join(rows)] if rows else ["None."]
    parts = [head, "## Decisions", _list(decisions), "## Actions", *table, "## Open questions", _list(questions)]
    parts += ["---", "  \n".join(map(_plain, footer.splitlines()))] if footer else []
    return "\n\n".join(parts) + "\n"


def _list(items: Sequence[Noted]) -> str:
    return "\n".join(f"- {_plain(each.text)} ({each.place})" for each in items) or "None."


def _plain(text: str) -> str:
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
