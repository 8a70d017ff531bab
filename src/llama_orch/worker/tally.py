# SPDX-License-Identifier: GPL-3.0-or-later
"""What one request takes: its tokens and its times, for the log, the usage and the receipt."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from time import monotonic

from llama_orch.engine.records import Delta, Finished, Started
from llama_orch.wire.generation import Timing
from llama_orch.wire.price import priced
from llama_orch.wire.receipt import Receipt
from llama_orch.worker.terms import NONE, Terms
from llama_orch_utils.types import Usage

_GAPS = 4096
"""More intervals than this do not make a median better."""


class Tally:
    """Counts the tokens of all choices; a prompt is counted once, with what its first choice found cached.

    Times are in seconds. `outcome` is stop, length, tool_calls, or an error's code; `thoughts` how
    many of the finished choices' tokens were thoughts. `terms` have the price, where there is one.
    """

    def __init__(self, terms: Terms = NONE) -> None:
        now = monotonic()  # the event loop's own clock may tick in milliseconds
        self.outcome = "failed"
        self.thoughts = 0
        self._began = now
        self._computed = now
        self._queued = 0.0
        self._first: float | None = None
        self._last = now
        self._gaps: list[float] = []
        self._terms = terms
        self._lengths: Sequence[int] = ()
        self._begun: set[int] = set()
        self._n = 1
        self._seconds: dict[int, float] = {}
        self._cached: dict[int, int] = {}
        self._output: dict[int, int] = {}

    def prompts(self, lengths: Sequence[int], n: int) -> None:
        """How long the prompts are, and how many choices each gets."""
        self._lengths, self._n = lengths, n

    def started(self, choice: int, event: Started) -> None:
        """The prompt of a choice is computed."""
        if not self._cached:
            self._computed = monotonic()
            self._queued = event.queue_seconds
        self._begun.add(choice // self._n)
        self._cached.setdefault(choice // self._n, event.cached_tokens)

    def spoke(self, choice: int, event: Delta) -> None:
        """A choice got further."""
        self._output[choice] = self._output.get(choice, 0) + event.tokens
        self._seconds[choice] = event.seconds

    def finished(self, choice: int, event: Finished) -> None:
        """A choice is over; its event has the exact count."""
        self._output[choice] = event.output_tokens
        self._seconds[choice] = event.seconds
        if event.begun:  # else it was cancelled before its turn came
            self._begun.add(choice // self._n)
            self._cached.setdefault(choice // self._n, event.cached_tokens)

    def step(self) -> None:
        """Something of the answer came: once per engine step."""
        now = monotonic()
        if self._first is None:
            self._first = now
        elif len(self._gaps) < _GAPS:
            self._gaps.append(now - self._last)
        self._last = now

    @property
    def usage(self) -> Usage:
        """The tokens until now."""
        output, cached = sum(self._output.values()), sum(self._cached.values())
        return Usage(sum(self._lengths), output, cached, reasoning_tokens=self.thoughts)

    def final(self) -> Usage:
        """The tokens of the whole answer, with their cost where the gateway charges."""
        rates, amount = self._terms.rates, self._terms.amount
        if rates is None:
            return self.usage
        cost = rates.cost(self.usage, self._engine_time())
        return priced(self.usage, cost if amount is None else min(cost, amount))

    def _engine_time(self) -> int:
        """Microseconds of the devices' time that were its own: the shares of all choices."""
        return int(sum(self._seconds.values()) * 1e6)

    def timing(self) -> Timing:
        """How long it took until now."""
        return Timing(first=self._computed - self._began, total=monotonic() - self._began)

    def receipt(self) -> Receipt:
        """Everything, for the gateway."""
        usage = self.usage
        return Receipt(
            prompt_tokens=sum(self._lengths[prompt] for prompt in self._begun),
            cached_tokens=usage.cached_tokens,
            output_tokens=usage.output_tokens,
            queue_seconds=round(self._queued, 6),
            first_token_seconds=0.0 if self._first is None else round(self._first - self._began, 6),
            token_seconds=round(statistics.median(self._gaps), 6) if self._gaps else 0.0,
            total_seconds=round(monotonic() - self._began, 6),
            outcome=self.outcome,
            gpu_microseconds=self._engine_time(),
        )
