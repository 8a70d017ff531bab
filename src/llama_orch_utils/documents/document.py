# SPDX-License-Identifier: Apache-2.0
"""A document: its text, and where each piece of it stood in the file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Unit = Literal["line", "page", "paragraph"]
_BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: the `number`th (from 1) line, page or paragraph of a file."""

    unit: Unit
    number: int

    def __str__(self) -> str:
        """As people say it: `page 3`."""
        return f"{self.unit} {self.number}"


@dataclass(frozen=True, slots=True)
class Document:
    """One file as text. `kind` is text, markdown, html, pdf, docx or csv.

    `marks` are offsets into `text` (rising, the first is 0) with the place of what begins there; inside a mark of
    lines, each line break is a line more.
    """

    name: str
    kind: str
    text: str = field(repr=False)
    marks: tuple[tuple[int, Place], ...] = field(default=((0, Place("line", 1)),), repr=False)

    def place(self, offset: int) -> Place:
        """The place of the character at `offset`."""
        index = max(bisect_right(self.marks, offset, key=lambda mark: mark[0]) - 1, 0)
        start, place = self.marks[index]
        if place.unit != "line":
            return place
        return Place("line", place.number + self.text.count("\n", start, offset))


def joined(name: str, kind: str, pieces: Iterable[tuple[str, Place]]) -> Document:
    """A document of `pieces` in their order, with a blank line between them; empty ones are left out."""
    texts: list[str] = []
    marks: list[tuple[int, Place]] = []
    length = 0
    for text, place in pieces:
        if not text.strip():
            continue
        marks.append((length, place))
        texts.append(text)
        length += len(text) + len(_BETWEEN)
    return Document(name, kind, _BETWEEN.join(texts), tuple(marks) or ((0, Place("line", 1)),))
