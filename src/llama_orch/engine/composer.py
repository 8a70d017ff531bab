# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into one batch: the next tokens of those who generate, chunks of prompts, or both.

In a shared buffer both go into one pass over the weights. In separate streams llama.cpp would pass over the weights
for each kind, so they take turns instead: prompts first (a fuller batch of next tokens costs hardly more than a
sparse one), until they have used up the budget; then everybody who generates gets a token.

Of several prompts the oldest goes first, every other time the one that has had least: a short one does not wait for
the whole of a long one, and a long one is never put off for good.

The rows of an image go into a batch of their own, every other time while there is anything else to compute.
"""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from llama_orch.engine.batch import Batch
from llama_orch.engine.residency import Residency
from llama_orch.engine.sequence import Sequence

_EFFICIENT = 256
"""Rows from which on a pass over the weights costs by the row alone (0.5B model on 2 CPU cores: with 64 rows the whole
of 4 streams takes 4 % longer, with more than 256 the first answers begin the later and nothing is gained)."""


@dataclass(slots=True)
class Work:
    """Whose rows a batch has, in their order; those of `sampled` have logits.

    `proposed` are tokens behind the next one of a sequence (by its id): a row with logits for each.
    """

    decodes: list[Sequence] = field(default_factory=list[Sequence])
    proposed: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    chunks: list[tuple[Sequence, int]] = field(default_factory=list[tuple[Sequence, int]])
    sampled: list[Sequence] = field(default_factory=list[Sequence])

    def divide(self, seconds: float) -> None:
        """Gives everybody a part of the time it took, by the row."""
        rows = [(one, 1 + len(self.proposed.get(one.id, ()))) for one in self.decodes] + self.chunks
        total = sum(count for _, count in rows)
        for sequence, count in rows:
            sequence.seconds += seconds * count / total

    def all(self) -> list[Sequence]:
        """Everybody with a row."""
        return [*self.decodes, *(sequence for sequence, _ in self.chunks)]


class Composer:
    """Fills `batch` and books what was computed."""

    def __init__(self, batch: Batch, residency: Residency, prefill_budget: int) -> None:
        self._batch, self._residency, self._budget = batch, residency, prefill_budget
        self._mixes = residency.shares_cells
        self._pass = batch.pass_rows
        self._oldest_first = True
        self._looked = False
        self._kept_waiting = 0

    def compose(self, decodes: list[Sequence], prefills: Many[Sequence]) -> Work:
        """Fills the batch; there must be a free cell for each of `decodes`.

        The budget holds prompts back only while somebody waits for a next token. A batch without rows: no prompt
        found a cell.
        """
        self._batch.clear()
        looking = [sequence for sequence in prefills if sequence.looking is not None]
        if looking:
            prefills = [sequence for sequence in prefills if sequence.looking is None]
            self._looked = not self._looked or not (decodes or prefills)
            if self._looked and (work := self._image(looking[0], reserve=len(decodes))).chunks:
                return work
        if self._mixes or not decodes or not prefills:
            work = self._next_tokens(decodes) if decodes else Work()
            self._prompts(work, prefills, self._budget if decodes else self._pass)
            return work
        work = Work()
        if self._kept_waiting < self._budget:
            self._prompts(work, prefills, min(self._budget, self._pass), reserve=len(decodes))
        return work if work.chunks else self._next_tokens(decodes)

    def _image(self, sequence: Sequence, *, reserve: int) -> Work:
        """As much of its image as one pass takes; no rows where there are no cells for it."""
        span, resident = sequence.looking, sequence.resident
        assert span is not None
        assert span.rows is not None
        assert resident is not None
        begun = resident.ready - span.start
        count = min(span.count - begun, self._pass)
        self._residency.make_room(reserve + count)
        fits = min(count, self._residency.free_cells - reserve)
        if fits <= 0 or (span.whole and fits < span.count):
            return Work()
        last = resident.ready + fits == len(sequence.tokens)
        rows = span.rows[begun : begun + fits]
        self._batch.add_rows(rows, resident.ready, resident.id, sampled=last, whole=span.whole)
        return Work(chunks=[(sequence, fits)], sampled=[sequence] if last else [])

    def verify(self, sequence: Sequence, proposed: list[int]) -> Work:
        """The next token of a lone sequence, and those that were proposed behind it, in one pass."""
        assert sequence.resident is not None
        self._batch.clear()
        self._batch.add_proposal([sequence.next_token, *proposed], sequence.resident.ready, sequence.resident.id)
        return Work([sequence], {sequence.id: proposed}, sampled=[sequence])

    def _next_tokens(self, decodes: list[Sequence]) -> Work:
        # Rows by ascending id: in separate streams llama.cpp puts rows of adjacent ids into one pass.
        decodes.sort(key=lambda one: one.resident.id if one.resident else -1)
        residents = [s.resident for s in decodes if s.resident is not None]
        tokens = [s.next_token for s in decodes]
        self._batch.add_decodes(tokens, [r.ready for r in residents], [r.id for r in residents])
        return Work(decodes, sampled=decodes.copy())

    def _prompts(self, work: Work, prefills: Many[Sequence], budget: int, *, reserve: int = 0) -> None:
        order = prefills if self._oldest_first else sorted(prefills, key=_computed)
        work.chunks = self._chunks(order, min(self._batch.free, budget), reserve)
        self._oldest_first = not self._oldest_first
        for sequence, count in work.chunks:
            self._add_chunk(sequence, count, work)

    def _chunks(self, prefills: Many[Sequence], budget: int, reserve: int) -> list[tuple[Sequence, int]]:
        """How much of which prompt: in their order, as far as budget and cells go; then by ascending id.

        In separate streams no more prompts than an efficient pass needs: the first answers begin the sooner.
        """
        taken, found = self._batch.rows + reserve, list[tuple[int, Sequence, int]]()
        for sequence in prefills:
            if not self._mixes and taken - reserve >= _EFFICIENT:
                break
            assert sequence.resident is not None
            count = min(sequence.readable, budget)
            self._residency.make_room(taken + count)
            count = min(count, self._residency.free_cells - taken)
            if count > 0:
                found.append((sequence.resident.id, sequence, count))
                taken, budget = taken + count, budget - count
        return [(sequence, count) for _, sequence, count in sorted(found, key=lambda one: one[0])]

    def _add_chunk(self, sequence: Sequence, count: int, work: Work) -> None:
        resident = sequence.resident
        assert resident is not None
        start, last = resident.ready, resident.ready + count == len(sequence.tokens)
        self._batch.add_prefill(sequence.tokens[start : start + count], start, resident.id, sampled=last)
        if last:
            work.sampled.append(sequence)

    def book(self, work: Work) -> None:
        """The rows of `work` are in their cells now."""
        for sequence in work.decodes:
            resident = sequence.resident
            assert resident is not None
            self._residency.record(resident, sequence.next_token)
        self._kept_waiting = 0 if work.decodes else self._kept_waiting + sum(count for _, count in work.chunks)
        for sequence, count in work.chunks:
            assert sequence.resident is not None
            self._residency.extend(sequence.resident, count)


def _computed(sequence: Sequence) -> int:
    """Tokens of its prompt that were computed for it."""
    return 0 if sequence.resident is None else sequence.resident.ready - sequence.cached
