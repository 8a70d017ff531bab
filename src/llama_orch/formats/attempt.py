# SPDX-License-Identifier: GPL-3.0-or-later
"""A place in an answer where a call may stand: read by every form that may begin there, until one is sure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from llama_orch.formats.call import CallReader
from llama_orch.formats.form import CallForm
from llama_orch.formats.parts import Argued, Called, Part
from llama_orch.formats.tape import Cut, Mismatch, Wait


class Attempt:
    """`open`: more text is needed. Else `begun` or `read` says that there was a call, and `rest` is the text behind it.

    `read` alone: it was an empty list of calls. If there was none, `raw` is all its text, or `cut` says that the
    answer ended where a call was about to begin.
    """

    def __init__(self, forms: list[CallForm], tools: Collection[str], numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._parts: list[Part] = []
        self._readers: list[tuple[CallReader, Wait]] = []
        for form in forms:
            reader = CallReader(form, tools, self._begin)
            self._readers.append((reader, reader.run()))
        self.begun = self.read = self.cut = False
        self.raw = self.rest = ""

    @property
    def open(self) -> bool:
        """Whether more text is needed."""
        return bool(self._readers)

    def feed(self, text: str) -> list[Part]:
        """More text, and what it said."""
        if not self.begun:
            self.raw += text
        for reader, _ in self._readers:
            reader.tape.text += text
        return self._advance()

    def end(self) -> list[Part]:
        """The answer is over."""
        for reader, _ in self._readers:
            reader.tape.ended = True
        return self._advance()

    def _advance(self) -> list[Part]:
        for one in list(self._readers):
            self._resume(*one)
            if self.begun or self.read:
                self._readers = [one] if one in self._readers else []
                break
        parts, self._parts = self._parts, []
        return parts

    def _resume(self, reader: CallReader, run: Wait) -> None:
        try:
            next(run)
        except Cut:
            self.cut = True
        except StopIteration:
            self.read, self.rest = True, reader.tape.rest
        except Mismatch:
            self.rest = reader.tape.rest if self.begun else ""
        else:
            return
        self._readers.remove((reader, run))

    def _begin(self, name: str) -> Callable[[str], None]:
        self.begun = True
        index = next(self._numbers)
        self._parts.append(Called(index, name))

        def argue(fragment: str) -> None:
            if fragment:
                self._parts.append(Argued(index, fragment))

        return argue
