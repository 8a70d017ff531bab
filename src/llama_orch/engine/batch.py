# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of one llama_decode, in memory owned by numpy: filled by slices, without one ctypes call per token."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llama_orch.engine.context import Context
from llama_orch_utils.errors import EngineFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Batch:
    """At most `capacity` rows (token, position, sequence), of which at most `Dimensions.sampled_rows` are sampled.

    An image's rows are embeddings instead of tokens; llama.cpp takes the two kinds in batches of their own.
    `pass_rows` of them are computed in one pass over the weights. Each limit is one that llama.cpp answers with an
    abort of the process: they are checked here.
    """

    def __init__(self, context: Context) -> None:
        dimensions = context.dimensions
        self.rows = self.outputs = 0
        self.capacity: int = context.lib.llama_n_batch(context.pointer)  # llama.cpp lowers it to the number of cells
        self.pass_rows = min(dimensions.micro_batch, self.capacity)
        self._context, self._sequences, self._sampled = context, dimensions.sequences, dimensions.sampled_rows
        self._token = np.zeros(self.capacity, np.int32)
        self._position = np.zeros(self.capacity, np.int32)
        self._sequence = np.zeros(self.capacity, np.int32)
        self._logits = np.zeros(self.capacity, np.int8)
        self._one = np.ones(self.capacity, np.int32)
        # seq_id is an array of pointers to arrays: row i points at its own element of `_sequence`.
        self._pointers = self._sequence.ctypes.data + 4 * np.arange(self.capacity + 1, dtype=np.uint64)
        self._pointers[-1] = 0
        self._struct: Any = None
        self._make_struct()
        self._rows: NDArray[np.float32] | None = None
        self._whole = False
        self._view: NDArray[np.float32] = np.zeros((0, context.vocabulary_size), np.float32)
        self._view_address = 0

    def _make_struct(self) -> None:
        self._struct = self._context.lib.llama_batch()
        self._point("token", self._token)
        self._point("pos", self._position)
        self._point("n_seq_id", self._one)
        self._point("seq_id", self._pointers)
        self._point("logits", self._logits)

    def _point(self, name: str, array: NDArray[Any]) -> None:
        kind = dict(self._context.lib.llama_batch._fields_)[name]
        setattr(self._struct, name, ctypes.cast(array.ctypes.data, kind))

    @property
    def free(self) -> int:
        """Rows that still fit."""
        return self.capacity - self.rows

    def clear(self) -> None:
        """Empties the batch."""
        self.rows = self.outputs = 0
        if self._rows is not None:
            self._rows, self._whole = None, False
            self._point("token", self._token)
            self._struct.embd = None

    def add_decodes(self, tokens: Sequence[int], positions: Sequence[int], sequences: Sequence[int]) -> None:
        """One row for each of several sequences, all sampled."""
        start, stop = self._reserve(len(tokens), len(tokens))
        self._token[start:stop] = tokens
        self._position[start:stop] = positions
        self._sequence[start:stop] = sequences
        self._logits[start:stop] = 1

    def add_prefill(self, tokens: NDArray[np.int32], position: int, sequence: int, *, sampled: bool) -> None:
        """A chunk of one prompt from `position` on; `sampled`: its last row is."""
        count = len(tokens)
        start, stop = self._reserve(count, int(sampled))
        self._token[start:stop] = tokens
        self._position[start:stop] = np.arange(position, position + count, dtype=np.int32)
        self._sequence[start:stop] = sequence
        self._logits[start:stop] = 0
        if sampled:
            self._logits[stop - 1] = 1

    def add_rows(self, rows: NDArray[np.float32], position: int, sequence: int, *, sampled: bool, whole: bool) -> None:
        """An image's embeddings, [count, width], in a batch of their own; `whole`: they see one another."""
        count, width = rows.shape
        if self.rows or width != self._context.width or (whole and count > self.pass_rows):
            raise EngineFailed(f"{count} rows of {width} numbers cannot be computed as an image.")
        start, stop = self._reserve(count, int(sampled))
        self._rows, self._whole = np.ascontiguousarray(rows, np.float32), whole
        self._struct.token = None
        self._point("embd", self._rows)
        self._position[start:stop] = np.arange(position, position + count, dtype=np.int32)
        self._sequence[start:stop] = sequence
        self._logits[start:stop] = 0
        if sampled:
            self._logits[stop - 1] = 1

    def add_proposal(self, tokens: Sequence[int], position: int, sequence: int) -> None:
        """A next token and those that were proposed behind it, all sampled."""
        count = len(tokens)
        start, stop = self._reserve(count, count)
        self._token[start:stop] = tokens
        self._position[start:stop] = np.arange(position, position + count, dtype=np.int32)
        self._sequence[start:stop] = sequence
        self._logits[start:stop] = 1

    def _reserve(self, rows: int, outputs: int) -> tuple[int, int]:
        start, stop = self.rows, self.rows + rows
        if rows < 1 or stop > self.capacity or self.outputs + outputs > self._sampled:
            raise EngineFailed(f"A batch of {stop} rows, {self.outputs + outputs} sampled, breaks its limits.")
        self.rows, self.outputs = stop, self.outputs + outputs
        return start, stop

    def decode(self) -> int:
        """llama_decode of the rows; its code (see Context.decode). Raises EngineFailed for an id beyond C's tables."""
        ids = self._sequence[: self.rows]
        if self.rows == 0 or int(ids.min()) < 0 or int(ids.max()) >= self._sequences:
            raise EngineFailed("A batch is empty or names a sequence that cannot exist.")
        self._struct.n_tokens = self.rows
        return self._context.decode(self._struct, causal=not self._whole)

    def logits(self) -> NDArray[np.float32]:
        """The sampled rows' logits, [outputs, vocabulary], in the order they were added; valid until the next decode.

        A view on llama.cpp's buffer, made anew only when that moved or grew.
        """
        found = self._context.lib.llama_get_logits(self._context.pointer)
        address = ctypes.cast(found, ctypes.c_void_p).value
        if not address:
            raise EngineFailed("llama.cpp has no logits for the batch.")
        if address != self._view_address or len(self._view) < self.outputs:
            shape = (self.outputs, self._context.vocabulary_size)
            self._view = np.ctypeslib.as_array(found, shape)
            self._view_address = address
        return self._view
