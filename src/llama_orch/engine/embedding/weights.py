# SPDX-License-Identifier: GPL-3.0-or-later
"""An embedding or rank model's weights."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from llama_orch.engine import library
from llama_orch.engine.embedding.card import EmbeddingCard
from llama_orch.engine.model import Model
from llama_orch_utils.errors import EngineFailed


class Weights(Model):
    """As a generating model's, where an encoder is welcome; one with a decoder behind it is not."""

    @classmethod
    def _usable(cls, lib: ModuleType, pointer: int, path: Path) -> Model:
        if lib.llama_model_has_encoder(pointer) and lib.llama_model_has_decoder(pointer):
            lib.llama_model_free(pointer)
            raise EngineFailed(f"{path} is an encoder with a decoder: it cannot embed text.", hint="orch models ls")
        try:
            return cls(lib, pointer, path)
        except BaseException:
            lib.llama_model_free(pointer)
            raise


def vector_width(model: Model, card: EmbeddingCard) -> int:
    """How many numbers the model gives for a text."""
    lib = library.load()
    if card.pooling == "rank":
        return max(1, lib.llama_model_n_cls_out(model.pointer))
    return lib.llama_model_n_embd_out(model.pointer)
