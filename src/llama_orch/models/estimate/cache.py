# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, values and recurrent states. Sources: llama-kv-cache.cpp, llama-memory-recurrent.cpp.

The engine leaves `swa_full` as llama.cpp has it (on), so that a prefix can be kept: layers with a sliding window have
as many cells as the others.
"""

from __future__ import annotations

from llama_orch.models.estimate.ggml_types import row_bytes
from llama_orch.models.estimate.layout import Layout
from llama_orch.models.estimate.shape import Layer, Shape

_F32_BYTES = 4


def layer_cache(layer: Layer, layout: Layout, widest_values: int) -> int:
    """Bytes of one layer. Without flash attention values lie transposed, all layers' as wide as the widest."""
    bytes_ = _F32_BYTES * layer.state * layout.sequences
    if layer.keys:
        values = 0 if not layer.values else layer.values if layout.flash else widest_values
        one = row_bytes(layout.type_k, layer.keys) + row_bytes(layout.type_v, values)
        bytes_ += one * layout.stream * layout.streams
    return bytes_


def caches(shape: Shape, layout: Layout) -> list[int]:
    """Bytes of each layer, in order; all 0 where the architecture keeps nothing."""
    if not shape.has_cache:
        return [0] * len(shape.layers)
    widest = max((each.values for each in shape.layers), default=0)
    return [layer_cache(each, layout, widest) for each in shape.layers]
