# SPDX-License-Identifier: GPL-3.0-or-later
"""A llama_context that pools: rows of several texts in, one vector for each text out.

Every argument is checked before it reaches C. An encoder aborts the process for more rows than its micro-batch, for a
position beyond its table and for a token beyond its vocabulary; a sequence id beyond the context's is read as rubbish.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from llama_orch.engine import library, offload
from llama_orch.engine.embedding.dimensions import EmbeddingDimensions
from llama_orch.engine.model import Model
from llama_orch_utils.errors import EngineFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABORTED = 2
"""What llama_encode and llama_decode return after `abort`."""


class PooledContext:
    """From construction to `close`; only the embedding thread may use it, except for `abort`.

    `width` is the length of a vector (for a rank model: its classes).
    """

    def __init__(self, model: Model, dimensions: EmbeddingDimensions, width: int) -> None:
        self.dimensions, self.width = dimensions, width
        self._lib: ModuleType = library.load()
        self._vocabulary = model.card.vocabulary
        self._stop = ctypes.create_string_buffer(2)
        log = library.log()
        log.clear()
        self._pointer: int = self._lib.llama_init_from_model(model.pointer, self._parameters())
        if not self._pointer:
            raise offload.no_context(log)
        if self._lib.llama_n_ubatch(self._pointer) < dimensions.rows:
            self.close()
            raise EngineFailed(f"llama.cpp gave a smaller batch than {dimensions.rows} rows.", hint="orch doctor")
        self._memory: int = self._lib.llama_get_memory(self._pointer)
        if not (dimensions.whole or (self._memory and self._lib.llama_get_causal_attn(self._pointer))):
            self.close()
            raise EngineFailed(f"{model.path} says that it is causal, and llama.cpp does not.", hint="orch models ls")
        self._lib.llama_set_abort_callback(self._pointer, self._abort_function(), self._stop)
        self._allocate()

    def _parameters(self) -> object:
        made = self.dimensions
        params = self._lib.llama_context_default_params()
        params.n_ctx = made.cells
        params.n_batch = params.n_ubatch = made.rows
        params.n_seq_max = made.sequences
        params.n_threads = params.n_threads_batch = made.threads
        params.embeddings = params.no_perf = True
        # With a stream per sequence llama.cpp regroups the rows; in one buffer a micro-batch is what we make it.
        params.kv_unified = True
        return params

    def _abort_function(self) -> object:
        """`strlen` on two bytes that begin with zero until `abort`: no Python inside of llama.cpp's loops."""
        self._libc = ctypes.CDLL(None)
        return ctypes.cast(self._libc.strlen, self._lib.ggml_abort_callback)

    def _allocate(self) -> None:
        """The batch, in memory owned by numpy: filled by slices."""
        rows, lib = self.dimensions.rows, self._lib
        self._token, self._position, self._sequence = (np.zeros(rows, np.int32) for _ in range(3))
        self._one, self._flags = np.ones(rows, np.int32), np.ones(rows, np.int8)
        self._pointers = self._sequence.ctypes.data + 4 * np.arange(rows + 1, dtype=np.uint64)
        self._pointers[-1] = 0
        self._struct = lib.llama_batch()
        kinds = dict(lib.llama_batch._fields_)
        for name, array in (
            ("token", self._token),
            ("pos", self._position),
            ("n_seq_id", self._one),
            ("seq_id", self._pointers),
            ("logits", self._flags),
        ):
            setattr(self._struct, name, ctypes.cast(array.ctypes.data, kinds[name]))

    def run(self, texts: Sequence[NDArray[np.int32]]) -> NDArray[np.float32] | None:
        """The vectors of `texts`, [texts, width]: all of them in one micro-batch, or one alone, in chunks if need be.

        None after `abort`. Raises EngineFailed where llama.cpp fails, or would.
        """
        if not texts or any(len(text) == 0 for text in texts):
            raise EngineFailed("A batch without a token has no embedding.")
        self._forget()
        if len(texts) == 1 and not self.dimensions.whole:
            code = self._run_chunks(texts[0])
        else:
            code = self._run_rows([(text, 0, sequence) for sequence, text in enumerate(texts)])
        if code == ABORTED:
            return None
        if code != 0:
            raise EngineFailed(f"llama.cpp could not compute the embeddings (code {code}).", hint="orch logs worker")
        return np.stack([self._vector(sequence) for sequence in range(len(texts))])

    def _run_chunks(self, text: NDArray[np.int32]) -> int:
        code, size = 0, self.dimensions.rows
        for begin in range(0, len(text), size):
            code = self._run_rows([(text[begin : begin + size], begin, 0)])
            if code != 0:
                break
        return code

    def _run_rows(self, parts: Sequence[tuple[NDArray[np.int32], int, int]]) -> int:
        """llama_encode or llama_decode of (tokens, first position, sequence id)."""
        filled = 0
        for tokens, position, sequence in parts:
            end = filled + len(tokens)
            self._check(tokens, position, sequence, end)
            self._token[filled:end] = tokens
            self._position[filled:end] = np.arange(position, position + len(tokens), dtype=np.int32)
            self._sequence[filled:end] = sequence
            filled = end
        self._struct.n_tokens = filled
        compute = self._lib.llama_decode if self._memory else self._lib.llama_encode
        return compute(self._pointer, self._struct)

    def _check(self, tokens: NDArray[np.int32], position: int, sequence: int, end: int) -> None:
        made = self.dimensions
        if len(tokens) == 0 or end > made.rows or not 0 <= sequence < made.sequences:
            raise EngineFailed(f"A batch of {end} rows, sequence {sequence}, breaks its limits.")
        if position + len(tokens) > made.context or int(tokens.min()) < 0 or int(tokens.max()) >= self._vocabulary:
            raise EngineFailed("A text is longer than the context, or has a token outside the vocabulary.")

    def _vector(self, sequence: int) -> NDArray[np.float32]:
        found = self._lib.llama_get_embeddings_seq(self._pointer, sequence)
        if not found:
            raise EngineFailed("llama.cpp has no embedding for a text of the batch.", hint="orch logs worker")
        return np.ctypeslib.as_array(found, (self.width,)).copy()

    def _forget(self) -> None:
        if self._memory:
            self._lib.llama_memory_clear(self._memory, False)

    def abort(self) -> None:
        """Ends the computation that runs now. Any thread may call it."""
        self._stop[0] = b"\1"

    def permit(self) -> None:
        """Takes back an `abort`."""
        self._stop[0] = b"\0"

    def close(self) -> None:
        """Frees the context; before the model. Harmless when repeated."""
        pointer, self._pointer = self._pointer, 0
        if pointer:
            self._lib.llama_free(pointer)
