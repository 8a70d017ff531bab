# SPDX-License-Identifier: GPL-3.0-or-later
"""A dialect that does not generate: a request in, one answer out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from llama_orch_utils.errors import OrchError

Wish = TypeVar("Wish")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class PlainDialect(Generic[Wish, Outcome]):
    """`parse` raises only errors of the one tree; `failure` renders an error in the dialect's own form."""

    parse: Callable[[bytes], Wish]
    answer: Callable[[Outcome, Wish], bytes]
    failure: Callable[[OrchError], bytes]
