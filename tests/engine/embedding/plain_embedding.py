# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp as its own examples use it: one text, one batch, one vector. What ours is held against."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np

from llama_orch.engine import library


class PlainEmbedding:
    def __init__(self, path: Path) -> None:
        self.lib = lib = library.load()
        self.model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
        self.vocab = lib.llama_model_get_vocab(self.model)
        params = lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = lib.llama_model_n_ctx_train(self.model)
        params.embeddings = params.no_perf = True
        params.n_threads = params.n_threads_batch = 1
        self.context = lib.llama_init_from_model(self.model, params)
        rank = lib.llama_pooling_type(self.context) == lib.LLAMA_POOLING_TYPE_RANK
        self.width = lib.llama_model_n_cls_out(self.model) if rank else lib.llama_model_n_embd_out(self.model)

    def tokens(self, text: str) -> list[int]:
        data = text.encode()
        buffer = (ctypes.c_int32 * (len(data) + 16))()
        return buffer[: self.lib.llama_tokenize(self.vocab, data, len(data), buffer, len(buffer), True, True)]

    def vector(self, tokens: list[int]) -> np.ndarray:
        lib = self.lib
        batch = lib.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for row, token in enumerate(tokens):
            batch.token[row], batch.pos[row], batch.logits[row] = token, row, 1
            batch.n_seq_id[row], batch.seq_id[row][0] = 1, 0
        memory = lib.llama_get_memory(self.context)
        if memory:
            lib.llama_memory_clear(memory, True)
        assert (lib.llama_decode if memory else lib.llama_encode)(self.context, batch) == 0
        found = np.ctypeslib.as_array(lib.llama_get_embeddings_seq(self.context, 0), (self.width,)).copy()
        lib.llama_batch_free(batch)
        return found

    def close(self) -> None:
        self.lib.llama_free(self.context)
        self.lib.llama_model_free(self.model)


def cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Row by row."""
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    return (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
