# SPDX-License-Identifier: GPL-3.0-or-later
"""What every embedding dialect boils down to: one neutral request, and vectors as bytes."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llama_orch.wire.json_body import pointer

Input = str | tuple[int, ...]
"""A text, or its tokens in the model's own ids, to which nothing is added."""


@dataclass(frozen=True, slots=True)
class EmbeddingWish:
    """`inputs` in their order, found at the JSON pointer `at` (`single`: the value itself, not a list of them).

    `model` None: whichever is served. `dimensions` None: all. `truncate`: an input that is too long is cut at its end
    instead of being refused. `normalised`: to length 1.
    """

    inputs: tuple[Input, ...]
    at: str
    single: bool = False
    model: str | None = None
    dimensions: int | None = None
    encoding: Literal["float", "base64"] = "float"
    truncate: bool = False
    normalised: bool = True

    def where(self, index: int) -> str:
        """The JSON pointer of an input."""
        return self.at if self.single else pointer(self.at, index)


@dataclass(frozen=True, slots=True)
class Vectors:
    """One vector for each input, as little-endian IEEE 754 binary32; what they took, and how long (seconds).

    `model` is its name as the answer has it, `cut` how many inputs were too long and were cut, `cost` what it costs in
    micro-euros (None: nobody charges).
    """

    model: str
    rows: Sequence[bytes]
    prompt_tokens: int
    seconds: float = 0.0
    cut: int = 0
    cost: int | None = None


def numbers(row: bytes) -> str:
    """A vector as a JSON array; nine digits bring every binary32 back exactly. Finite numbers only."""
    values = array("f")
    values.frombytes(row)
    if sys.byteorder == "big":
        values.byteswap()
    return "[" + ("%.9g," * len(values))[:-1] % tuple(values) + "]"
