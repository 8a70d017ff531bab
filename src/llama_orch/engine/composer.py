# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into one batch: all decode rows, then chunks of prompts within a budget."""

from __future__ import annotations

from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from llama_orch.engine.batch import Batch
from llama_orch.engine.residency import Residency
from llama_orch.engine.sequence import Sequence


@dataclass(slots=True)
class Work:
    """Whose rows a batch has, in their order; those of `sampled` have logits."""

    decodes: list[Sequence] = field(default_factory=list[Sequence])
    chunks: list[tuple[Sequence, int]] = field(default_factory=list[tuple[Sequence, int]])
    sampled: list[Sequence] = field(default_factory=list[Sequence])

    def all(self) -> list[Sequence]:
        """Everybody with a row."""
        return [*self.decodes, *(sequence for sequence, _ in self.chunks)]


class Composer:
    """Fills `batch` and books what was computed."""

    def __init__(self, batch: Batch, residency: Residency, prefill_budget: int) -> None:
        self._batch, self._residency, self._budget = batch, residency, prefill_budget

    def compose(self, decodes: list[Sequence], prefills: Many[Sequence]) -> Work:
        """Fills the batch; there must be a free cell for each of `decodes`.

        The budget holds prompts back only while somebody waits for a next token. A batch without rows: no prompt
        found a cell.
        """
        batch = self._batch
        batch.clear()
        # Rows by ascending id: in separate streams llama.cpp puts rows of adjacent ids into one pass.
        decodes.sort(key=lambda one: one.resident.id if one.resident else -1)
        work = Work(decodes, sampled=decodes.copy())
        if decodes:
            residents = [s.resident for s in decodes if s.resident is not None]
            tokens = [s.next_token for s in decodes]
            batch.add_decodes(tokens, [r.ready for r in residents], [r.id for r in residents])
        work.chunks = self._chunks(prefills, min(batch.free, self._budget) if decodes else batch.free)
        for sequence, count in work.chunks:
            self._add_chunk(sequence, count, work)
        return work

    def _chunks(self, prefills: Many[Sequence], budget: int) -> list[tuple[Sequence, int]]:
        """How much of which prompt: the oldest first, as far as budget and cells go; then by ascending id."""
        taken, found = self._batch.rows, list[tuple[int, Sequence, int]]()
        for sequence in prefills:
            assert sequence.resident is not None
            count = min(len(sequence.tokens) - sequence.resident.ready, budget)
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
            resident.tokens[resident.ready] = sequence.next_token
            self._residency.extend(resident, 1)
            resident.planned = resident.ready
        for sequence, count in work.chunks:
            assert sequence.resident is not None
            self._residency.extend(sequence.resident, count)
