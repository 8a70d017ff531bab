# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dialect is to a server: a handful of functions, looked up when the first request of that dialect comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llama_orch.wire.generation import Generation, Head, TokenLogprob, Whole
from llama_orch_utils.errors import OrchError
from llama_orch_utils.types import Usage

PING = b": keep-alive\n\n"
"""A server-sent comment (HTML standard, 9.2): keeps time-outs at bay, and every client skips it."""


class Stream(Protocol):
    """The frames of one streamed answer, as bytes. Called in this order: start, piece …, finish."""

    def start(self) -> bytes:
        """What comes before the first text."""
        ...

    def piece(self, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:
        """New text: whole code points."""
        ...

    def finish(self, reason: str, usage: Usage) -> bytes:
        """The end of a whole answer."""
        ...

    def fail(self, error: OrchError) -> bytes:
        """The end by an error."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """`parse` raises only errors of the one tree; `count` renders a prompt's token count; `id_prefix` begins ids."""

    id_prefix: str
    parse: Callable[[bytes], Generation]
    answer: Callable[[Head, Whole], bytes]
    stream: Callable[[Head, Generation], Stream]
    failure: Callable[[OrchError], bytes]
    count: Callable[[int], bytes]
