# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver of events, and a scheduler driven step by step without a thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from llama_orch.engine.context import Context, plan
from llama_orch.engine.engine import Engine
from llama_orch.engine.grammar import make_constraint
from llama_orch.engine.model import Model
from llama_orch.engine.records import Delta, EngineOptions, Event, Failed, Finished, Request, Sampling, Started
from llama_orch.engine.sampling import make_sampler
from llama_orch.engine.scheduler import Scheduler
from llama_orch.engine.sequence import Sequence
from llama_orch.engine.text import TextStream
from llama_orch.engine.vocabulary import Vocabulary

GREEDY = Sampling(temperature=0)
SECONDS = 30


@dataclass
class Receiver:
    """Collects what an engine delivers; `wait` until a request has ended."""

    events: dict[int, list[Event]] = field(default_factory=dict)
    calls: int = 0

    def __post_init__(self) -> None:
        self._changed = threading.Condition()

    def __call__(self, events: list[tuple[int, Event]]) -> None:
        with self._changed:
            self.calls += 1
            for identity, event in events:
                self.events.setdefault(identity, []).append(event)
            self._changed.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, SECONDS), f"waited {SECONDS} s; events: {self.events}"

    def wait(self, identity: int) -> Event:
        def ended() -> bool:
            return bool(self.events.get(identity)) and isinstance(self.events[identity][-1], Finished | Failed)

        self.until(ended)
        return self.events[identity][-1]

    def text(self, identity: int) -> str:
        return text_of(self.events[identity])


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


def check_shape(events: list[Event]) -> None:
    """Started at most once and first, exactly one end and that last."""
    ends = [event for event in events if isinstance(event, Finished | Failed)]
    assert len(ends) == 1, events
    assert events[-1] is ends[0]
    assert [i for i, event in enumerate(events) if isinstance(event, Started)] in ([], [0])


@dataclass
class Running:
    """An engine and its receiver."""

    engine: Engine
    received: Receiver

    def ask(self, tokens: list[int], **options: object) -> int:
        return self.engine.submit(request_of(tokens, **options))

    def answer(self, tokens: list[int], **options: object) -> tuple[str, Finished]:
        identity = self.ask(tokens, **options)
        end = self.received.wait(identity)
        assert isinstance(end, Finished), end
        return self.received.text(identity), end


def request_of(tokens: list[int], **options: object) -> Request:
    options.setdefault("sampling", GREEDY)
    options.setdefault("max_tokens", 12)
    return Request(tokens=tokens, **options)  # type: ignore[arg-type]


class Bench:
    """A scheduler driven step by step, its books compared with llama.cpp's after each."""

    def __init__(self, path: Path, cells: int | None = None, believed: int | None = None, **options: object) -> None:
        wanted = EngineOptions(**{"context": 256, "slots": 4, "unified": True, **options})  # type: ignore[arg-type]
        self.model = Model.load(path, wanted)
        dimensions = plan(self.model.card, wanted)
        if cells is not None:
            dimensions = replace(dimensions, cells=cells)
        self.context = Context(self.model, dimensions)
        if believed is not None:  # the ledger counts more cells than there are
            self.context.dimensions = replace(dimensions, cells=believed)
        self.vocabulary = Vocabulary(self.model.vocabulary, self.model.card.vocabulary)
        self.scheduler = Scheduler(self.context, prefill_budget=wanted.prefill_budget)
        self.events: dict[int, list[Event]] = {}
        self.last = 0

    def add(self, request: Request) -> int:
        self.last += 1
        constraint = make_constraint(self.vocabulary, request.sampling)
        sampler = make_sampler(self.vocabulary, request.sampling, constraint, [t for t in request.tokens if t >= 0])
        self.scheduler.add(
            Sequence(
                self.last,
                request,
                np.asarray(request.tokens, np.int32),
                sampler,
                constraint,
                TextStream(self.vocabulary, request.stop),
                self.vocabulary.ends,
                request.max_tokens or self.context.dimensions.context,
            )
        )
        self.events[self.last] = []
        return self.last

    def cancel(self, *ids: int) -> None:
        self._note(self.scheduler.cancel(set(ids)))

    def step(self) -> list[tuple[int, Event]]:
        events = self.scheduler.step()
        self._note(events)
        self.scheduler.residency.check()
        held = {id(s.resident) for s in self.scheduler.active if s.resident is not None}
        assert held == {id(r) for r in self.scheduler.residency.residents if r.active}, "a sequence leaked"
        return events

    def run(self) -> None:
        deadline = time.monotonic() + SECONDS
        while self.scheduler.busy:
            assert time.monotonic() < deadline, "the scheduler does not get on"
            self.step()

    def tokens(self, identity: int) -> list[int]:
        """The answer's tokens, of a request that wanted log-probabilities."""
        return [t.token for event in self.events[identity] if isinstance(event, Delta) for t in event.logprobs]

    def margin(self, tokens: list[int], chosen: int) -> float:
        """How much less likely (logarithm) `chosen` is after `tokens` than the best token, computed alone."""
        identity = self.add(Request(tokens, Sampling(temperature=0, logprobs=20), max_tokens=1, cache=False))
        self.run()
        (first,) = [t for event in self.events[identity] if isinstance(event, Delta) for t in event.logprobs]
        rivals = {rival.token: rival.logprob for rival in (first, *first.top)}
        return first.logprob - rivals.get(chosen, float("-inf"))

    def _note(self, events: list[tuple[int, Event]]) -> None:
        for identity, event in events:
            self.events[identity].append(event)

    def close(self) -> None:
        self.context.close()
        self.model.close()
