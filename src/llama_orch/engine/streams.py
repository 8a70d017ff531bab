# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp's memory calls, with every argument checked: ids out of range abort the process or go wrong silently.

Two layouts with one interface. `SharedBuffer` (unified KV): sequences share cells, a copy of a prefix is an entry in
a table. `Streams`: each sequence has its own buffer; a prefix is copied through the host (1 ms per 500 tokens of a
0.5B model, against seconds of prefill), and ids in one batch should be adjacent: llama.cpp makes one pass over the
weights for each run of adjacent ids.
"""

from __future__ import annotations

import ctypes

from llama_orch.engine.context import Context
from llama_orch_utils.errors import EngineFailed


class SharedBuffer:
    """One buffer of cells for all sequences."""

    shares_cells = True

    def __init__(self, context: Context) -> None:
        self._lib, self._memory = context.lib, context.memory
        self._ids = context.dimensions.sequences
        self._limit = context.dimensions.context

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """`target`, which must be empty, gets the first `length` positions of `source`."""
        self._check(source, length)
        self._check(target, length)
        self._lib.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def truncate(self, sequence: int, length: int) -> bool:
        """Keeps the first `length` positions; False where the model's state cannot be cut (recurrent ones)."""
        self._check(sequence, length)
        return bool(self._lib.llama_memory_seq_rm(self._memory, sequence, length, -1))

    def drop(self, sequence: int) -> None:
        """Empties `sequence`; never fails."""
        self._check(sequence, 0)
        self._lib.llama_memory_seq_rm(self._memory, sequence, -1, -1)

    def length(self, sequence: int) -> int:
        """How many positions lie in the memory, by llama.cpp's own count."""
        self._check(sequence, 0)
        return self._lib.llama_memory_seq_pos_max(self._memory, sequence) + 1

    def _check(self, sequence: int, length: int) -> None:
        if not 0 <= sequence < self._ids or not 0 <= length <= self._limit:
            raise EngineFailed(f"Sequence {sequence} with {length} positions is outside the context.")


class Streams(SharedBuffer):
    """A buffer per sequence."""

    shares_cells = False

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._pointer = context.pointer

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        """As in a shared buffer; the cells are copied, bit for bit."""
        self._check(source, length)
        self._check(target, length)
        self._write(target, self._read(source))
        self.truncate(target, length)

    def exchange(self, one: int, other: int) -> None:
        """The two sequences change places."""
        first, second = self._read(one), self._read(other)
        for sequence, state in ((one, second), (other, first)):
            if state is None:
                self.drop(sequence)
            else:
                self._write(sequence, state)

    def _read(self, sequence: int) -> ctypes.Array[ctypes.c_uint8] | None:
        if self.length(sequence) == 0:
            return None
        size = self._lib.llama_state_seq_get_size(self._pointer, sequence)
        state = (ctypes.c_uint8 * size)()
        if self._lib.llama_state_seq_get_data(self._pointer, state, size, sequence) != size:
            raise EngineFailed(f"The state of sequence {sequence} could not be read.")
        return state

    def _write(self, sequence: int, state: ctypes.Array[ctypes.c_uint8] | None) -> None:
        self.drop(sequence)
        if state is None:
            return
        if not self._lib.llama_state_seq_set_data(self._pointer, state, len(state), sequence):
            raise EngineFailed(f"The state of sequence {sequence} could not be written.")


def open_streams(context: Context) -> SharedBuffer:
    """The layout that `context` was made with."""
    return SharedBuffer(context) if context.dimensions.unified else Streams(context)
