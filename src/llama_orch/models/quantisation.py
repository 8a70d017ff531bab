# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of quantisations. Source: `enum llama_ftype` in llama.cpp's include/llama.h."""

from __future__ import annotations

import math
from collections import Counter

from llama_orch.models.gguf_header import GgufHeader

_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS",
    20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M",
    28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip


def quantisation_of(header: GgufHeader) -> str:
    """What the metadata says, else the type that most weights have."""
    number = header.number("general.file_type")
    if number is not None or not header.tensors:
        return file_type_name(number)
    from llama_orch.models.estimate.ggml_types import type_name

    weights: Counter[int] = Counter()
    for tensor in header.tensors:
        weights[tensor.kind] += math.prod(tensor.shape)
    return type_name(weights.most_common(1)[0][0]).upper()


def file_type_name(number: int | None) -> str:
    """`general.file_type` in words: `Q8_0`, or "unknown"."""
    return "unknown" if number is None else _FILE_TYPES.get(number, f"type {number}")
