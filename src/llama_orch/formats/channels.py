# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenAI's harmony format (gpt-oss): an answer is messages, each with a header that says for whom it is.

<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>
<|channel|>commentary to=functions.NAME <|constrain|>json<|message|>{…}<|call|>
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum

from llama_orch.formats.marks import Marks
from llama_orch.formats.parts import Argued, Called, Part, Said, Thought
from llama_orch.formats.tape import Mismatch, Tape, Wait

START, CHANNEL, MESSAGE, END = "<|start|>", "<|channel|>", "<|message|>", "<|end|>"
_ENDS = Marks((START, CHANNEL, END, "<|call|>", "<|return|>"))
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=([^\s<]+)")
_HEADER = re.compile(r"\s*(?:assistant\b|to=|<\|)")
_BEGINNINGS = frozenset(word[:n] for word in ("assistant", "to=", "<|") for n in range(len(word) + 1))
MAX_HEADER = 400
FUNCTIONS = "functions."


class _Kind(Enum):
    HEADER = "header"
    SAID = "said"
    THOUGHT = "thought"
    CALL = "call"
    REST = "rest"  # what a model writes behind a call's arguments


class Channels:
    """As `Parser`, for answers in harmony messages."""

    def __init__(self, *, tools: Collection[str] | None, opened: str = "") -> None:
        self._tools = tools
        self._kind = _Kind.HEADER
        self._held = ""
        self._calls = 0
        self._tape = Tape()
        self._reading: Wait = self._arguments()
        self._argued: list[Part] = []
        self._begun = False  # something of this message was handed on
        header, message, _ = opened.rpartition(START)[2].partition(MESSAGE)
        if START in opened and message:
            self._open(header, [])
        elif START in opened:
            self._held = header.removeprefix("assistant")

    def push(self, text: str) -> list[Part]:
        """What became certain by `text`."""
        self._held += text
        return self._run(ended=False)

    def flush(self) -> list[Part]:
        """What was held back, at the answer's end."""
        return self._run(ended=True)

    def _run(self, *, ended: bool) -> list[Part]:
        parts: list[Part] = []
        steps = {_Kind.HEADER: self._header, _Kind.CALL: self._call}
        while steps.get(self._kind, self._body)(parts, ended=ended):
            pass
        return parts

    def _header(self, parts: list[Part], *, ended: bool) -> bool:
        header, message, rest = self._held.partition(MESSAGE)
        text = header.lstrip()
        viable = _HEADER.match(text) is not None or (text in _BEGINNINGS and not message) or not text
        if message and viable and len(header) < MAX_HEADER:
            self._held = rest
            self._open(header, parts)
            return True
        waiting = viable and not message and len(header) < MAX_HEADER + len(MESSAGE)
        if waiting and not (ended and text and "<|" not in text):
            self._held = "" if ended else self._held
            return False
        self._kind, self._begun = _Kind.SAID, False  # a model that forgot its header speaks to the user
        return bool(self._held)

    def _open(self, header: str, parts: list[Part]) -> None:
        channel, recipient = _CHANNEL.search(header), _RECIPIENT.search(header)
        self._begun = False
        if recipient is not None and self._tools is not None:
            name = recipient[1].removeprefix(FUNCTIONS)
            if recipient[1].startswith(FUNCTIONS) or name in self._tools:
                self._kind, self._tape = _Kind.CALL, Tape()
                self._reading = self._arguments()
                parts.append(Called(self._calls, name))
                self._calls += 1
                return
        final = recipient is None and (channel is None or channel[1] in ("final", "commentary"))
        self._kind = _Kind.SAID if final else _Kind.THOUGHT

    def _call(self, parts: list[Part], *, ended: bool) -> bool:
        """The arguments: marks within their strings are no marks."""
        self._tape.text += self._held
        self._tape.ended = ended
        self._held = ""
        try:
            next(self._reading)
        except (StopIteration, Mismatch):
            self._held, self._kind = self._tape.rest, _Kind.REST
        parts += self._argued
        self._argued.clear()
        return self._kind is _Kind.REST

    def _arguments(self) -> Wait:
        def argue(fragment: str) -> None:
            self._argued.append(Argued(self._calls - 1, fragment))

        first = yield from self._tape.peek()
        if first == "<":  # a mark: nothing was written
            argue("{}")
        else:
            yield from self._tape.value(argue)

    def _body(self, parts: list[Part], *, ended: bool) -> bool:
        found = _ENDS.search(self._held)
        at = found[0] if found else len(self._held) - (0 if ended else _ENDS.partial(self._held))
        text = self._held[:at]
        if self._kind is _Kind.THOUGHT:
            text = text.rstrip()  # white space may be the last of it
        kept = text if self._begun or self._kind is _Kind.SAID else text.lstrip()
        if kept and self._kind is not _Kind.REST:
            self._begun = True
            parts.append(Thought(kept) if self._kind is _Kind.THOUGHT else Said(kept))
        if found is None:
            self._held = "" if ended else self._held[len(text) :]
            return False
        self._kind = _Kind.HEADER
        self._held = self._held[at:].removeprefix(found[1]) if found[1] != CHANNEL else self._held[at:]
        return bool(self._held)
