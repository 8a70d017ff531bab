# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer with marks in it, told apart as it streams."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from enum import Enum

from llama_orch.formats.attempt import Attempt
from llama_orch.formats.form import CallForm, Format
from llama_orch.formats.marks import Marks
from llama_orch.formats.parts import Part, Said, Thought

_SEPARATORS = " \t\r\n;,"
"""What may stand between two calls."""


class _Mode(Enum):
    LEAD = "lead"  # nothing but white space since the beginning, a thought or a call
    TEXT = "text"
    THOUGHT = "thought"
    CALL = "call"


class Marked:
    """An answer in which calls and thoughts stand between marks; see `Parser`."""

    def __init__(self, form: Format, *, tools: Collection[str] | None, thinking: bool, opened: str = "") -> None:
        self._tools: Collection[str] = tools or ()
        forms = form.calls if tools is not None else ()
        self._marked = [one for one in forms if not one.bare]
        self._bare = [one for one in forms if one.bare]
        self._closes = dict(form.thoughts) if thinking else {}
        self._marks = Marks((*(one.mark for one in self._marked), *self._closes, *form.silent))
        self._mode = _Mode.LEAD if self._marks or self._bare else _Mode.TEXT
        self._held: str = ""
        self._lead_space: str = ""
        self._attempt: Attempt | None = None
        self._drop = self._after_call = False
        self._numbers = itertools.count()
        for begin, close in self._closes.items():
            if opened.rstrip().endswith(begin):
                self._think(close)

    def push(self, text: str) -> list[Part]:
        """What became certain by `text`."""
        if not text:
            return []
        if self._mode is _Mode.TEXT and not self._held and not self._marks.touch(text):
            return [Said(text)]
        parts: list[Part] = []
        self._held += text
        while self._step(parts, ended=False):
            pass
        return parts

    def flush(self) -> list[Part]:
        """What was held back, at the answer's end."""
        parts: list[Part] = []
        while self._step(parts, ended=True):
            pass
        return parts

    def _step(self, parts: list[Part], *, ended: bool) -> bool:
        """Goes on by as much as one mode allows; True if there may be more to do."""
        if self._mode is _Mode.CALL:
            return self._call(parts, ended=ended)
        if not self._held:
            return False
        if self._mode is _Mode.THOUGHT:
            return self._thought(parts, ended=ended)
        if self._mode is _Mode.LEAD:
            return self._lead(parts, ended=ended)
        return self._text(parts, ended=ended)

    def _lead(self, parts: list[Part], *, ended: bool) -> bool:
        stripped = self._held.lstrip(_SEPARATORS if self._after_call else None)
        if not stripped:
            if ended:
                self._say("" if self._drop else self._held, parts)
                self._held = ""
            return False
        lead = "" if self._drop else self._held[: len(self._held) - len(stripped)]
        mark = self._marks.at_beginning(stripped)
        if mark is not None:
            self._marked_at(mark, stripped, lead)
            return True
        if self._marks.may_begin(stripped) and (self._after_call or not ended):
            if ended:  # the beginning of the next call
                self._held = ""
            return False
        if self._bare and stripped[0] in "{[":
            self._try(self._bare, stripped, lead)
            return True
        self._mode = _Mode.TEXT
        self._held = self._held.lstrip() if self._drop else self._held
        return True

    def _text(self, parts: list[Part], *, ended: bool) -> bool:
        found = self._marks.search(self._held)
        if found is None:
            keep = 0 if ended else self._marks.partial(self._held)
            self._say(self._held[: len(self._held) - keep], parts)
            self._held = self._held[len(self._held) - keep :]
            return False
        at, mark = found
        self._say(self._held[:at], parts)
        self._marked_at(mark, self._held[at:])
        return True

    def _marked_at(self, mark: str, text: str, lead: str = "") -> None:
        """`text` begins with `mark`: a thought, a call, or nothing. `lead` is white space before it."""
        forms = [one for one in self._marked if one.mark == mark]
        if forms:
            self._try(forms, text, lead)
            return
        self._held = text[len(mark) :]
        if mark in self._closes:
            self._think(self._closes[mark])

    def _think(self, close: str) -> None:
        self._mode, self._drop, self._after_call = _Mode.THOUGHT, True, False
        self._close = Marks((close,))

    def _thought(self, parts: list[Part], *, ended: bool) -> bool:
        text = self._held.lstrip() if self._drop else self._held
        found = self._close.search(text)
        at = found[0] if found else len(text) - (0 if ended else self._close.partial(text))
        thought = text[:at].rstrip()  # white space may be the thought's last
        if thought:
            self._drop = False
            parts.append(Thought(thought))
        if found is None:
            self._held = "" if ended else text[len(thought) :]
            return False
        self._held = text[at + len(found[1]) :]
        self._mode, self._drop = _Mode.LEAD, True
        return True

    def _try(self, forms: list[CallForm], text: str, lead: str) -> None:
        self._mode, self._held, self._lead_space = _Mode.CALL, text, lead
        self._attempt = Attempt(forms, self._tools, self._numbers)

    def _call(self, parts: list[Part], *, ended: bool) -> bool:
        attempt, text = self._attempt, self._held
        assert attempt is not None
        self._held = ""
        if text:
            parts += attempt.feed(text)
        if ended and attempt.open:
            parts += attempt.end()
        if attempt.open:
            return False
        if attempt.begun or attempt.read:
            self._mode, self._drop, self._after_call = _Mode.LEAD, True, True
            self._held = attempt.rest
        elif (mark := self._marks.at_beginning(attempt.raw)) is None or not attempt.cut:
            # No call: what it began with is text, and what follows that is looked at again.
            mark = mark or attempt.raw[:1]
            self._say(self._lead_space + mark, parts)
            self._mode, self._held = _Mode.TEXT, attempt.raw[len(mark) :]
        return bool(self._held)

    def _say(self, text: str, parts: list[Part]) -> None:
        if text:
            parts.append(Said(text))
