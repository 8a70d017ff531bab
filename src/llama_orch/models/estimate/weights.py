# SPDX-License-Identifier: GPL-3.0-or-later
"""What weights take on the CPU: pages of the file, and private copies of what ggml repacks for the CPU's own units.

Sources: ggml-cpu/repack.cpp (`ggml_repack_get_optimal_repack_type`), ggml-cpu/amx/ (`supports_op`, `get_row_size`).
Only matrices that are multiplied are repacked, so a token embedding is only where it is the output matrix as well, and
then it is there twice: as it lies in the file, and repacked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from llama_orch.models.estimate.ggml_types import type_name
from llama_orch.models.estimate.shape import Shape, tensor_bytes
from llama_orch.models.gguf_header import Tensor

_AVX2 = frozenset({"q4_0", "q4_K", "iq4_nl", "mxfp4"})
_AVX512 = _AVX2 | {"q2_K"}
_NEON = frozenset({"q4_0", "q4_K", "q5_K", "q6_K", "iq4_nl", "mxfp4", "q8_0", "q1_0"})
# What a matrix grows by in AMX's layout (mmq.cpp: a block with its sums), and what its rows' length is a multiple of.
_AMX = {
    "q4_0": (20 / 18, 32), "q4_1": (1.0, 32), "q8_0": (38 / 34, 32), "q4_K": (1.0, 256), "q5_K": (1.0, 256),
    "q6_K": (1.0, 256), "iq4_xs": (1.0, 256), "f16": (1.0, 16),
}  # fmt: skip
_ROWS_VECTOR, _ROWS_AMX = 8, 32
_LOOKED_UP = ("token_embd.weight", "position_embd.weight", "token_types.weight", "per_layer_token_embd.weight")
_NOT_MULTIPLIED = ("ssm_conv1d", "shortconv.conv", "ffn_gate_inp")


@dataclass(frozen=True, slots=True)
class Cpu:
    """What ggml repacks weights for: `units` is "", "avx2", "avx512", "neon" or "amx" (which has AVX512 beside it)."""

    units: str = ""

    @classmethod
    def of(cls, features: Iterable[str]) -> Cpu:
        """From the features that llama.cpp's build uses (`AMX_INT8`, `AVX512`, `AVX2`, `NEON`; `REPACK`)."""
        found = set(features)
        for feature, units in (("AMX_INT8", "amx"), ("AVX512", "avx512"), ("AVX2", "avx2"), ("NEON", "neon")):
            if feature in found and (units == "amx" or "REPACK" in found):
                return cls(units)
        return cls()


@dataclass(frozen=True, slots=True)
class Weights:
    """Bytes on the CPU: `mapped` are pages of the file that are used as they are, `private` the repacked copies."""

    mapped: int
    private: int


def weights(shape: Shape, cpu: Cpu, tensors: Iterable[Tensor] | None = None) -> Weights:
    """Of `tensors` (all unless given), on a CPU that ggml repacks for as `cpu` says."""
    mapped = private = 0
    for tensor in shape.tensors if tensors is None else tensors:
        size = tensor_bytes(tensor)
        packed = _packed(shape, tensor, size, cpu)
        private += packed
        if not packed or tensor.name in _LOOKED_UP:
            mapped += size
    return Weights(mapped, private)


def _packed(shape: Shape, tensor: Tensor, size: int, cpu: Cpu) -> int:
    """Bytes of its repacked copy; 0: none is made."""
    if tensor.name in _LOOKED_UP and not (tensor.name == _LOOKED_UP[0] and shape.tied and shape.has_cache):
        return 0
    dimensions = sum(each > 1 for each in tensor.shape)
    if not cpu.units or dimensions < 2 or any(part in tensor.name for part in _NOT_MULTIPLIED):  # noqa: PLR2004
        return 0
    kind = type_name(tensor.kind)
    if cpu.units == "amx" and dimensions == 2 and kind in _AMX:  # noqa: PLR2004
        growth, columns = _AMX[kind]
        if tensor.shape[0] % columns == 0 and tensor.shape[1] % _ROWS_AMX == 0:
            return int(size * growth)
    vector = {"avx2": _AVX2, "neon": _NEON}.get(cpu.units, _AVX512)
    return size if kind in vector and tensor.shape[1] % _ROWS_VECTOR == 0 else 0
