# SPDX-License-Identifier: GPL-3.0-or-later
"""The buffers of a computation: what ggml's allocator needs for the widest moment of the graph, logits, work space.

Fitted to what llama.cpp 0.3.36 reserved for graphs of known shapes (docs/explanation/memory.md has the table). Per row
of the micro-batch, in numbers of 4 bytes: in a feed-forward block its three products and the residual stream three
times, with the attention's output that is not free yet; in a recurrent block a copy of the states; in an attention that
is not fused the products of all heads with all cells. The mask is one number of 2 bytes (fused) or 4 per row and cell,
and one more where some layers have a window.
"""

from __future__ import annotations

from llama_orch.models.estimate.layout import Layout
from llama_orch.models.estimate.shape import Shape

_FLOAT, _HALF = 4, 2
_Q8_BLOCK = 34 / 32
_STATE_WIDTHS = 5
"""Widths of the inner stream that a recurrent block holds at once (measured: Mamba, LFM2)."""
_TILE = 64
_LINE = 64


def rows(layout: Layout) -> int:
    """Rows of the graph that is reserved: a multiple of the sequences, as llama.cpp rounds it."""
    return -(-layout.rows // layout.sequences) * layout.sequences


def compute(shape: Shape, layout: Layout) -> int:
    """Bytes that the graph's allocator takes, on one device, for the whole model."""
    many = rows(layout)
    mask = _mask(shape, layout) * many
    state = max((each.state for each in shape.layers), default=0)
    block = many * _FLOAT * _widest(shape) + layout.sequences * _FLOAT * state
    moments = [mask + block]
    if shape.has_cache and not layout.flash and shape.keys:
        moments.append(mask + many * _FLOAT * (shape.heads * layout.stream + _around(shape)))
    elif not shape.has_cache:
        moments.append(mask + many * _FLOAT * (shape.heads * many + _around(shape)))
    if shape.has_cache:
        moments.append(layout.outputs * _FLOAT * (shape.vocabulary + 3 * shape.width))
    return max(moments)


def inputs(shape: Shape, layout: Layout) -> int:
    """Bytes that cross from one device to the next: the mask, and the residual stream."""
    return rows(layout) * (_mask(shape, layout) + _FLOAT * shape.width)


def host(shape: Shape, layout: Layout, copies: int) -> int:
    """Bytes in main memory when all layers are on GPUs: what is prepared for them, as often as the pipeline is deep."""
    return copies * inputs(shape, layout) + rows(layout) * _FLOAT * shape.width


def outputs(shape: Shape, layout: Layout) -> int:
    """Bytes of the logits, and of the vectors of an embedding context, that are handed out (`output_reserve`)."""
    many = max(layout.outputs if layout.pooled else 0, layout.sequences)
    return many * _FLOAT * (shape.vocabulary + (shape.width if layout.pooled else 0))


def work(shape: Shape, layout: Layout) -> int:
    """Bytes of ggml's work space on the CPU: the rows in the form that quantised products take (ggml-cpu.c)."""
    widest = max(shape.feed_forward * max(1, shape.experts_used), shape.width, shape.attention)
    head = shape.attention // max(1, shape.heads)
    tiles = _FLOAT * layout.threads * (4 * _TILE * head + 2 * _TILE * _TILE)
    wide = int(rows(layout) * widest * _Q8_BLOCK)
    if not layout.flash and shape.keys:  # the softmax of all heads, as the product with the values takes it
        wide = max(wide, rows(layout) * shape.heads * layout.stream * _HALF)
    return wide + tiles + _LINE * layout.threads


def _mask(shape: Shape, layout: Layout) -> int:
    """Bytes per row."""
    if not shape.has_cache:
        return _HALF * rows(layout)
    if not any(each.keys for each in shape.layers):
        return 0
    return layout.stream * (_HALF if layout.flash else _FLOAT) * (1 + _windowed(shape))


def _windowed(shape: Shape) -> int:
    return int(any(each.window for each in shape.layers))


def _widest(shape: Shape) -> int:
    """Numbers per row in the widest block."""
    used = max(1, shape.experts_used)
    block = 3 * shape.feed_forward * used + 3 * shape.width + shape.attention
    if shape.experts:
        block += shape.width * used
    return max(block, _STATE_WIDTHS * shape.inner + 3 * shape.width)


def _around(shape: Shape) -> int:
    """Numbers per row beside the products of an attention."""
    return 3 * shape.width + 2 * shape.attention + 2 * shape.keys
