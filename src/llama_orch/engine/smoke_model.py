# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest GGUF that makes llama.cpp multiply quantised matrices: one layer of a Llama, no vocabulary, 0.4 MB.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A block of Q8_0 is a half-precision scale and 32
signed bytes, one of Q4_0 a scale and 16 bytes of two nibbles (ggml-common.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WIDTH, TOKENS = 256, 256
_HEADS, _ALIGNMENT = 4, 32
_F32, _Q4_0, _Q8_0 = 0, 2, 8  # ggml_type
_U32, _FLOAT, _STRING = 4, 6, 8  # gguf_metadata_value_type
_BLOCK = 32
_PAYLOAD = {_Q4_0: 16, _Q8_0: 32}
_MATRICES = {
    "token_embd": _Q8_0,
    "blk.0.attn_q": _Q8_0,
    "blk.0.attn_k": _Q8_0,
    "blk.0.attn_v": _Q8_0,
    "blk.0.attn_output": _Q8_0,
    "blk.0.ffn_gate": _Q4_0,
    "blk.0.ffn_up": _Q4_0,
    "blk.0.ffn_down": _Q4_0,
}
_NORMS = ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm")


def write(path: Path) -> None:
    """Writes the model; always the same bytes."""
    import numpy as np

    draw = np.random.default_rng(0)
    tensors = [(name, (WIDTH, WIDTH), kind, _matrix(kind, draw)) for name, kind in _MATRICES.items()]
    tensors += [(name, (WIDTH,), _F32, np.ones(WIDTH, np.float32).tobytes()) for name in _NORMS]
    keys = list(_keys())
    head, offset = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys)) + b"".join(keys), 0
    for name, shape, kind, data in tensors:
        head += _text(f"{name}.weight") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)
        offset += _padded(len(data))
    path.write_bytes(
        head.ljust(_padded(len(head)), b"\0") + b"".join(d.ljust(_padded(len(d)), b"\0") for *_, d in tensors)
    )


def _matrix(kind: int, draw: np.random.Generator) -> bytes:
    """Random blocks with a scale that keeps the activations near 1."""
    import numpy as np

    blocks = np.empty((WIDTH * WIDTH // _BLOCK, 2 + _PAYLOAD[kind]), np.uint8)
    scale = 0.001 if kind == _Q8_0 else 0.015
    blocks[:, :2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    blocks[:, 2:] = draw.integers(0, 256, (len(blocks), _PAYLOAD[kind]), np.uint8)
    return blocks.tobytes()


def _keys() -> Iterator[bytes]:
    yield _text("general.architecture") + struct.pack("<I", _STRING) + _text("llama")
    yield _text("tokenizer.ggml.model") + struct.pack("<I", _STRING) + _text("no_vocab")
    for name, value in (
        ("vocab_size", TOKENS),
        ("context_length", 256),
        ("embedding_length", WIDTH),
        ("block_count", 1),
        ("feed_forward_length", WIDTH),
        ("attention.head_count", _HEADS),
        ("rope.dimension_count", WIDTH // _HEADS),
    ):
        yield _text(f"llama.{name}") + struct.pack("<II", _U32, value)
    yield _text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", _FLOAT, 1e-5)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
