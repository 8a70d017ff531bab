# SPDX-License-Identifier: GPL-3.0-or-later
"""Which cells are taken, and by how many: llama.cpp does not tell.

Every cell has a count of the sequences that hold it (several where a prefix is shared). A batch is only built when its
rows fit, and llama_decode's 1 (no cell free) stays an exception. Cells are numbered here, not as llama.cpp does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Cells = NDArray[np.int32]


class Ledger:
    """`capacity` cells and their holders."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._holders = np.zeros(capacity, np.int32)
        self._free = list(range(capacity - 1, -1, -1))

    @property
    def free(self) -> int:
        """Cells that nobody holds."""
        return len(self._free)

    def take_one(self) -> int:
        """A free cell, now held once; the path of every decoded token."""
        cell = self._free.pop()
        self._holders[cell] = 1
        return cell

    def take(self, count: int) -> list[int]:
        """`count` free cells (there must be as many), now held once."""
        taken = self._free[-count:]
        del self._free[-count:]
        self._holders[taken] = 1
        return taken

    def share(self, cells: Cells) -> None:
        """One more sequence holds `cells`."""
        self._holders[cells] += 1

    def release(self, cells: Cells) -> None:
        """One sequence fewer holds `cells`; those of nobody are free."""
        self._holders[cells] -= 1
        self._free.extend(cells[self._holders[cells] == 0].tolist())

    def count(self, groups: Iterable[Cells]) -> int:
        """How many different cells `groups` have together."""
        held = np.zeros(self.capacity, np.bool_)
        for cells in groups:
            held[cells] = True
        return int(np.count_nonzero(held))

    def check(self, groups: Iterable[Cells]) -> None:
        """Raises AssertionError if the holders are not exactly `groups`."""
        counted = np.zeros(self.capacity, np.int32)
        for cells in groups:
            np.add.at(counted, cells, 1)
        assert np.array_equal(counted, self._holders), "a cell's holders were miscounted"
        assert int(np.count_nonzero(counted == 0)) == len(self._free), "cells leaked"
