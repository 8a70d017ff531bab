# SPDX-License-Identifier: GPL-3.0-or-later
"""One request on its way through the engine, and the text that comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from llama_orch.engine.records import Delta, Event, Finished, FinishReason, Request, Started, TokenLogprob
from llama_orch.engine.resident import Resident
from llama_orch.engine.text import TextStream
from llama_orch.engine.vision.picture import find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llama_orch.engine.grammar import Constraint
    from llama_orch.engine.sampling import Sampler
    from llama_orch.engine.vision import Span


class Phase(Enum):
    """Where a sequence stands: waiting for a place, for another's prefix, for its prompt, or generating."""

    QUEUED = "queued"
    FOLLOWING = "following"
    PREFILL = "prefill"
    DECODE = "decode"


@dataclass(slots=True, eq=False)
class Sequence:
    """A request and its state.

    `tokens` are what has to be in the cells before the next one can be sampled: the prompt, and after a preemption
    also what was generated until then; below 0 they are rows of its `pictures`. `salt` is whose cells it may share,
    `adapters` the scales of the model's LoRA adapters, `seconds` its share of the time that was computed.
    """

    id: int
    request: Request
    tokens: NDArray[np.int32]
    sampler: Sampler
    constraint: Constraint | None
    text: TextStream
    ends: frozenset[int]
    limit: int
    phase: Phase = Phase.QUEUED
    resident: Resident | None = None
    leader: Resident | None = None
    shared: int = 0
    target: int = 0
    next_token: int = -1
    output: list[int] = field(default_factory=list[int])
    cached: int = 0
    started: bool = False
    withheld: int = 0
    logprobs: list[TokenLogprob] = field(default_factory=list[TokenLogprob])
    arrived: float = field(default_factory=perf_counter)
    queue_seconds: float | None = None
    seconds: float = 0.0
    salt: str = ""
    adapters: tuple[float, ...] = ()

    @property
    def pictures(self) -> tuple[Span, ...]:
        """Where its prompt holds rows of images."""
        return self.request.pictures

    @property
    def looking(self) -> Span | None:
        """The image whose rows are computed next, if it is one's turn."""
        if not self.pictures or self.resident is None:
            return None
        return find(self.pictures, self.resident.ready)[0]

    @property
    def readable(self) -> int:
        """Tokens of its prompt that can be computed before the next image."""
        assert self.resident is not None
        ready = self.resident.ready
        end = find(self.pictures, ready)[1] if self.pictures else len(self.tokens)
        return min(end, len(self.tokens)) - ready

    @property
    def prompt_length(self) -> int:
        """Tokens of the prompt as it was asked."""
        return len(self.request.tokens)

    def claim(self) -> int:
        """Cells that were promised to it and that it does not have yet."""
        have = self.shared if self.resident is None else self.resident.ready
        return max(0, self.target - have)

    def admitted(self) -> None:
        """It has got a place; the first time counts."""
        if self.queue_seconds is None:
            self.queue_seconds = perf_counter() - self.arrived

    def start(self) -> Started | None:
        """The event that the prompt is in the context; once, however often it was preempted."""
        if self.started:
            return None
        self.started = True
        return Started(self.prompt_length, self.cached, self.queue_seconds or 0.0)

    def take(self, logits: NDArray[np.float32], context: int, events: list[tuple[int, Event]]) -> bool:
        """Samples a token, appends what it says to `events`; True if that was the last."""
        sampled = self.sampler.sample(logits)
        token = sampled.token
        self.output.append(token)
        self.next_token = token
        if token in self.ends:
            self.finish("stop", events)
            return True
        self.withheld += 1
        if sampled.logprobs is not None:
            self.logprobs.append(sampled.logprobs)
        text = self.text.push(token)
        if text:
            self._emit(text, events)
        return self._ended(context, events)

    def _ended(self, context: int, events: list[tuple[int, Event]]) -> bool:
        if self.text.stopped is not None or (self.constraint is not None and self.constraint.is_done()):
            self.finish("stop", events)
        elif len(self.output) >= self.limit or self.prompt_length + len(self.output) > context:
            self.finish("length", events)
        else:
            return False
        return True

    def finish(self, reason: FinishReason, events: list[tuple[int, Event]]) -> None:
        """Appends the last text and the end."""
        stop = self.text.stopped
        rest = "" if reason == "cancelled" else self.text.flush()
        if rest or (self.logprobs and reason != "cancelled"):
            self._emit(rest, events)
        begun = self.queue_seconds is not None
        finished = Finished(reason, self.prompt_length, self.cached, len(self.output), stop, begun, self.seconds)
        events.append((self.id, finished))

    def _emit(self, text: str, events: list[tuple[int, Event]]) -> None:
        events.append((self.id, Delta(text, self.withheld, tuple(self.logprobs), self.seconds)))
        self.withheld = 0
        if self.logprobs:
            self.logprobs = []

    def suspend(self) -> None:
        """It lost its cells: what it said already becomes part of what must be computed again."""
        spoken = np.asarray(self.output, np.int32)
        prompt = np.asarray(self.request.tokens, np.int32)
        self.tokens = np.concatenate((prompt, spoken))
        self.resident = self.leader = None
        self.shared = 0
        self.phase = Phase.QUEUED
