# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies in the KV cells: which tokens, for whom, and which conversation is forgotten first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from llama_orch.engine.ledger import Ledger
from llama_orch.engine.resident import Match, Resident, compare
from llama_orch.engine.streams import SharedBuffer, Streams

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from llama_orch.engine.context import Dimensions


class Residency:
    """All sequence ids of a context, their cells, and the search for a prefix."""

    def __init__(self, streams: SharedBuffer, dimensions: Dimensions, *, divisible: bool = True) -> None:
        self._streams, self._divisible = streams, divisible
        self.capacity = dimensions.cells
        self.residents = [
            Resident(index, np.zeros(dimensions.context, np.int32), np.zeros(dimensions.context, np.int32))
            for index in range(dimensions.sequences)
        ]
        self._ledger = Ledger(dimensions.cells)
        self._tick = 0

    @property
    def shares_cells(self) -> bool:
        """Whether a prefix costs no further cells."""
        return self._streams.shares_cells

    @property
    def free_cells(self) -> int:
        """Cells that nobody holds."""
        return self._ledger.free

    @property
    def cached_tokens(self) -> int:
        """Tokens of conversations that wait for their next turn."""
        return sum(resident.ready for resident in self.residents if not resident.active)

    def held_by_active(self) -> int:
        """Cells that no eviction can free."""
        return self._ledger.count(r.cells[: r.ready] for r in self.residents if r.active)

    def match(self, prompt: NDArray[np.int32], salt: str = "") -> Match | None:
        """The resident of this salt with the longest common prefix: ready tokens count first, then planned ones."""
        best: Match | None = None
        for resident in self.residents:
            if not resident.planned or resident.salt != salt:
                continue
            found = compare(resident, prompt, divisible=self._divisible)
            if found and (best is None or (found.planned, found.ready) > (best.planned, best.ready)):
                best = found
        return best

    def vacant(self, avoid: Resident | None = None) -> Resident | None:
        """An inactive resident: an empty one, else the least recently used, `avoid` last."""
        idle = [resident for resident in self.residents if not resident.active]
        return min(idle, key=lambda resident: (resident is avoid, resident.ready > 0, resident.used), default=None)

    def occupy(self, resident: Resident, prompt: NDArray[np.int32], length: int, salt: str = "") -> None:
        """A request takes `resident`, whose first `length` tokens are the prompt's, and plans the rest."""
        assert not length or resident.salt == salt, "nobody is given another's tokens"
        self.cut(resident, length)
        resident.active = True
        resident.salt = salt
        resident.tokens[: len(prompt)] = prompt
        resident.planned = len(prompt)
        self.touch(resident)

    def fork(self, source: Resident, target: Resident, length: int) -> None:
        """`target` gets the first `length` tokens of `source`: the same cells, or copies of them."""
        self.empty(target)
        self._streams.copy_prefix(source.id, target.id, length)
        target.tokens[:length] = source.tokens[:length]
        target.salt = source.salt
        if self._streams.shares_cells:
            target.cells[:length] = source.cells[:length]
            self._ledger.share(target.cells[:length])
            target.ready = target.planned = length
        else:
            self.extend(target, length)
            target.planned = length
        if source.mark_length == length:
            target.mark, target.mark_length = source.mark, length
        self.touch(source)

    def extend(self, resident: Resident, count: int) -> None:
        """`count` more tokens were computed: their cells are `resident`'s."""
        start, stop = resident.ready, resident.ready + count
        if count == 1:
            resident.cells[start] = self._ledger.take_one()
        else:
            resident.cells[start:stop] = self._ledger.take(count)
        resident.ready = stop

    def record(self, resident: Resident, token: int) -> None:
        """`token`, whose cell was computed with a batch already, belongs to `resident`."""
        resident.tokens[resident.ready] = token
        self.extend(resident, 1)
        resident.planned = resident.ready

    def cut(self, resident: Resident, length: int) -> None:
        """Forgets what `resident` has beyond its first `length` tokens."""
        if length < resident.ready:
            if length == 0 or not self._streams.truncate(resident.id, length):
                self._streams.drop(resident.id)
                length = 0
            self._ledger.release(resident.cells[length : resident.ready])
        resident.ready = resident.planned = min(length, resident.ready)
        if resident.mark_length > resident.ready:
            resident.mark, resident.mark_length = None, 0

    def restore(self, resident: Resident) -> None:
        """Takes away what a batch that failed half-way left in llama.cpp's memory: only what is booked stays.

        llama.cpp takes back the part that failed, and keeps those before it.
        """
        if self._streams.length(resident.id) > resident.ready and not (
            resident.ready and self._streams.truncate(resident.id, resident.ready)
        ):
            self._streams.drop(resident.id)
            self._ledger.release(resident.cells[: resident.ready])
            resident.ready = 0
            resident.mark, resident.mark_length = None, 0

    def empty(self, resident: Resident) -> None:
        """Forgets all that `resident` holds."""
        self.cut(resident, 0)

    def leave(self, resident: Resident, *, keep: bool) -> None:
        """Its request is over; `keep`: the cells stay for the next turn."""
        resident.active = False
        resident.planned = resident.ready
        if not keep:
            self.empty(resident)
        self.touch(resident)

    def touch(self, resident: Resident) -> None:
        """`resident` was used just now."""
        self._tick += 1
        resident.used = self._tick

    def evict(self, spare: Resident | None = None) -> bool:
        """Forgets the least recently used waiting conversation; False if there is none but `spare`."""
        waiting = [r for r in self.residents if not r.active and r.ready and r is not spare]
        if not waiting:
            return False
        self.empty(min(waiting, key=lambda resident: resident.used))
        return True

    def make_room(self, count: int, spare: Resident | None = None) -> bool:
        """Evicts until `count` cells are free; False if active requests hold too many."""
        while self._ledger.free < count:
            if not self.evict(spare):
                return False
        return True

    def gather(self) -> None:
        """In streams: moves active sequences to adjacent ids (llama.cpp passes over the weights once per run)."""
        if not isinstance(self._streams, Streams):
            return
        active = [resident.id for resident in self.residents if resident.active]
        if not active or active[-1] - active[0] + 1 == len(active):
            return
        first = _fullest_window(active)
        window = range(first, first + len(active))
        gaps = [index for index in window if not self.residents[index].active]
        outside = [index for index in active if index not in window]
        for gap, index in zip(gaps, outside, strict=True):
            self._streams.exchange(gap, index)
            one, other = self.residents[gap], self.residents[index]
            self.residents[gap], self.residents[index] = other, one
            one.id, other.id = index, gap

    def check(self) -> None:
        """Raises AssertionError if the ledger and llama.cpp disagree; for tests and post-mortems."""
        for index, resident in enumerate(self.residents):
            assert resident.id == index, f"resident {index} says it is {resident.id}"
            assert self._streams.length(index) == resident.ready, f"sequence {index}: {resident.ready} tokens expected"
        self._ledger.check(resident.cells[: resident.ready] for resident in self.residents)


def _fullest_window(active: Iterable[int]) -> int:
    """Where a run of as many ids as `active` has covers most of them."""
    ids = sorted(active)
    starts = [min(start, ids[-1] - len(ids) + 1) for start in ids]
    return max(starts, key=lambda start: sum(start <= index < start + len(ids) for index in ids))
