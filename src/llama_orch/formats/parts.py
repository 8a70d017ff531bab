# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """Text for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """Text that the model wrote for itself."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call begins; `index` counts the answer's calls from 0."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class Argued:
    """More of that call's arguments: JSON text. A call's fragments together are one JSON value, unless it was cut."""

    index: int
    fragment: str


Part = Said | Thought | Called | Argued
