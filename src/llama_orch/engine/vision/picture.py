# SPDX-License-Identifier: GPL-3.0-or-later
"""One image of a request, and the rows of a prompt that it becomes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARK_BITS = np.int32(-(2**31))


@dataclass(eq=False)
class Picture:
    """An image file as it came. `where` is its JSON pointer, `mark` the text that stands for it in the prompt."""

    data: bytes = field(repr=False)
    where: str = "/messages"
    mark: str = ""

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return hashlib.sha256(self.data).digest()


@dataclass(slots=True, eq=False)
class Span:
    """Rows `start` to `stop` of a prompt: part `part` of an image.

    `whole`: the rows see one another, so that they are computed together. `rows` are their embeddings, [count,
    embedding]; None until somebody looked.
    """

    picture: Picture
    part: int
    start: int
    count: int
    whole: bool
    rows: NDArray[np.float32] | None = None

    @property
    def stop(self) -> int:
        """The first row behind it."""
        return self.start + self.count

    @property
    def marks(self) -> list[int]:
        """Its pseudo-tokens: negative, drawn from the image's digest. 31 bits of each row, so 8 rows never collide."""
        length = 4 * max(self.count, 1)
        noise = hashlib.shake_256(self.picture.digest + self.part.to_bytes(4, "little")).digest(length)
        return (np.frombuffer(noise, np.int32)[: self.count] | MARK_BITS).tolist()


def find(spans: tuple[Span, ...], row: int) -> tuple[Span | None, int]:
    """The span that holds `row`, and the first row of the next one (2**31 - 1: there is none)."""
    following = 2**31 - 1
    for span in spans:
        if span.start <= row < span.stop:
            return span, following
        if span.start > row:
            return None, span.start
    return None, following
