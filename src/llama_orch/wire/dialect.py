# SPDX-License-Identifier: GPL-3.0-or-later
"""What a dialect is to a server: a handful of functions, looked up when the first request of that dialect comes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from llama_orch.wire.generation import FinishReason, Generation, Head, TokenLogprob, Whole
from llama_orch_utils.errors import OrchError
from llama_orch_utils.types import Usage

PING = b": keep-alive\n\n"
"""A server-sent comment (HTML standard, 9.2): keeps time-outs at bay, and every client skips it."""
EVENTS = b"text/event-stream"


class Stream(Protocol):
    """The frames of one streamed answer, as bytes; any of them may be empty.

    Called in this order: start once; then for each choice any of reasoning, text and calls (a call, then its
    arguments, call after call), and finish; end once when all choices have finished. fail instead of whatever is due.
    """

    def start(self, usage: Usage) -> bytes:
        """What comes first; `usage` has the prompt's counts."""
        ...

    def reasoning(self, choice: int, text: str) -> bytes:
        """More of the model's thoughts: whole code points."""
        ...

    def text(self, choice: int, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:
        """More of the answer: whole code points. This is the token path: no dict, no json.dumps."""
        ...

    def call(self, choice: int, index: int, identity: str, name: str) -> bytes:
        """A tool call begins; `index` counts the calls of the choice from 0."""
        ...

    def arguments(self, choice: int, index: int, fragment: str) -> bytes:
        """More of that call's arguments: JSON text as the model writes it."""
        ...

    def finish(self, choice: int, reason: FinishReason, stop: str | None) -> bytes:
        """The choice is over; `stop` is the stop string that ended it, if one did."""
        ...

    def end(self, usage: Usage) -> bytes:
        """The answer is over."""
        ...

    def fail(self, error: OrchError) -> bytes:
        """The end by an error, after `start`."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """`parse` raises only errors of the one tree; `count` renders a prompt's token count; `id_prefix` begins ids.

    `failure` renders an error that comes before the answer, `media` is the content type of a stream, `ping` what a
    silent stream gets to keep time-outs at bay (empty where the dialect has nothing of the kind).
    """

    id_prefix: str
    parse: Callable[[bytes], Generation]
    answer: Callable[[Head, Whole, Generation], bytes]
    stream: Callable[[Head, Generation], Stream]
    failure: Callable[[OrchError], bytes]
    count: Callable[[int], bytes]
    media: bytes = EVENTS
    ping: bytes = PING
