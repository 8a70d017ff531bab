# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine will lay a model out: cells, sequences, rows. What `engine/context.py` decides, foreseen.

Kept equal to it by a test that loads models and compares (tests/fit).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llama_orch.models.estimate.ggml_types import F16, row_bytes, type_number
from llama_orch.models.estimate.shape import Shape

FlashAttention = Literal["auto", "on", "off"]

CONTEXT = 8192
SLOTS = 4
_PAD = 256
_SPARE_SEQUENCES = 16
_MOST_SEQUENCES = 256
_EMBEDDING_SEQUENCES = 32
_SHARE = 4
"""The engine takes a stream for each sequence while all of them fit in a quarter of what is free."""


@dataclass(frozen=True, slots=True)
class Layout:
    """`context` tokens per sequence, `slots` answered at once, `cells` of all streams, `sequences` ids.

    `unified`: one stream for all. `rows` of one graph, `outputs` rows of it that have logits, `batch` rows of one
    call. `type_k` and `type_v` are ggml's numbers of types, `flash` whether the attention is one operation, `threads`
    of the CPU. `pooled`: an embedding context.
    """

    context: int
    slots: int
    cells: int
    sequences: int
    unified: bool
    rows: int
    outputs: int
    batch: int
    type_k: int = F16
    type_v: int = F16
    flash: bool = True
    threads: int = 1
    pooled: bool = False

    @property
    def stream(self) -> int:
        """Cells of one stream."""
        return self.cells if self.unified else -(-self.cells // self.sequences // _PAD) * _PAD

    @property
    def streams(self) -> int:
        """How many there are."""
        return 1 if self.unified else self.sequences


def foresee(
    shape: Shape,
    *,
    context: int | None = None,
    slots: int | None = None,
    available: int,
    cache_type_k: str | None = None,
    cache_type_v: str | None = None,
    flash_attention: FlashAttention = "auto",
    threads: int = 1,
    rows: int = 512,
    drafted: int = 0,
) -> Layout:
    """The layout for a machine with `available` bytes free; None: as the engine chooses.

    `rows` is the micro-batch, `drafted` the most tokens that a draft model proposes. KeyError for a cache type that
    ggml does not have.
    """
    length = context or min(shape.context_train or CONTEXT, CONTEXT)
    if shape.pooling or not shape.causal:
        return _pooled(shape, min(length, shape.context_train or length), slots, rows, threads)
    many = SLOTS if slots is None else slots
    types = type_number(cache_type_k), type_number(cache_type_v)
    per_token = max(1, token_bytes(shape, *types))
    if context is None:
        length = max(min(length, _PAD), min(length, available // 2 // per_token))
    cells, unified = _cells(per_token, length, many, available)
    sequences = min(_MOST_SEQUENCES, many + _SPARE_SEQUENCES) if unified else many
    return Layout(
        context=length,
        slots=many,
        cells=cells,
        sequences=sequences,
        unified=unified,
        rows=min(rows, cells),
        outputs=max(sequences, 1 + drafted if drafted else 0),
        batch=min(max(2048, many), cells),
        type_k=types[0],
        type_v=types[1],
        flash=flash_attention != "off",
        threads=threads,
    )


def token_bytes(shape: Shape, type_k: int = F16, type_v: int = F16) -> int:
    """Bytes of keys and values of one token in all layers."""
    return sum(
        row_bytes(type_k, layer.keys) + row_bytes(type_v, layer.values)
        for layer in shape.layers
        if shape.has_cache and layer.keys
    )


def _cells(per_token: int, context: int, slots: int, available: int) -> tuple[int, bool]:
    padded = -(-context // _PAD) * _PAD
    streams = padded * slots
    if streams * per_token <= available // _SHARE:
        return streams, False
    return max(padded, min(streams, available // _SHARE // per_token // _PAD * _PAD)), True


def _pooled(shape: Shape, context: int, slots: int | None, rows: int, threads: int) -> Layout:
    """An embedding context (engine/embedding/dimensions.py): each row may have an output."""
    whole = not shape.causal or shape.pooling not in (0, 3)  # 3: the last token's, which may be computed in chunks
    unit = _EMBEDDING_SEQUENCES
    wide = -(-(context if whole else min(context, rows)) // unit) * unit
    return Layout(
        context=context,
        slots=slots or unit,
        cells=-(-context // _PAD) * _PAD,
        sequences=unit,
        unified=True,
        rows=wide,
        outputs=wide,
        batch=wide,
        threads=threads,
        pooled=True,
    )
