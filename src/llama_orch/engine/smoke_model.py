# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUFs with random weights that make llama.cpp multiply quantised matrices: Llamas, as small as each use allows.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. A block of Q8_0 is a half-precision scale and 32
signed bytes, one of Q4_0 a scale and 16 bytes of two nibbles (ggml-common.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WIDTH, TOKENS = 256, 256
_HEAD, _ALIGNMENT = 64, 32
_F32, _Q4_0, _Q8_0 = 0, 2, 8  # ggml_type
_U32, _I32, _FLOAT, _STRING, _ARRAY = 4, 5, 6, 8, 9  # gguf_metadata_value_type
_BLOCK = 32
_PAYLOAD = {_Q4_0: 16, _Q8_0: 32}
_NORMAL, _UNKNOWN, _CONTROL, _BYTE = 1, 2, 3, 6  # llama_token_type
_PER_LAYER = (
    ("attn_q", _Q8_0), ("attn_k", _Q8_0), ("attn_v", _Q8_0), ("attn_output", _Q8_0),
    ("ffn_gate", _Q4_0), ("ffn_up", _Q4_0), ("ffn_down", _Q4_0),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """How wide, how deep; `context` in tokens."""

    width: int = WIDTH
    layers: int = 1
    feed_forward: int = WIDTH
    context: int = 256

    @property
    def tokens(self) -> int:
        """Size of the vocabulary: the bytes, the control tokens, and some words."""
        return 2 * TOKENS


SMOKE = Shape()
"""One layer, 0.4 MB."""
SPEED = Shape(width=1024, layers=8, feed_forward=2816, context=1024)
"""Large enough that its weights are read from memory at each token: 103 million of them, 75 MB."""


def write(path: Path, shape: Shape = SMOKE) -> None:
    """Writes the model; always the same bytes for the same shape."""
    import numpy as np

    draw = np.random.default_rng(0)
    tensors = [(name, size, kind, _matrix(size, kind, draw)) for name, size, kind in _matrices(shape)]
    tensors += [(name, (shape.width,), _F32, np.ones(shape.width, np.float32).tobytes()) for name in _norms(shape)]
    keys = [*_keys(shape), *_words(shape)]
    head, offset = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(keys)) + b"".join(keys), 0
    for name, size, kind, data in tensors:
        head += _text(f"{name}.weight") + struct.pack(f"<I{len(size)}QIQ", len(size), *size, kind, offset)
        offset += _padded(len(data))
    with path.open("wb") as file:
        file.write(head.ljust(_padded(len(head)), b"\0"))
        for *_, data in tensors:
            file.write(data.ljust(_padded(len(data)), b"\0"))


def _matrices(shape: Shape) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Names, sizes (columns, rows) and types of all matrices."""
    yield "token_embd", (shape.width, shape.tokens), _Q8_0
    for layer in range(shape.layers):
        for name, kind in _PER_LAYER:
            size = (shape.width, shape.width)
            if name in ("ffn_gate", "ffn_up"):
                size = (shape.width, shape.feed_forward)
            elif name == "ffn_down":
                size = (shape.feed_forward, shape.width)
            yield f"blk.{layer}.{name}", size, kind


def _norms(shape: Shape) -> Iterator[str]:
    yield "output_norm"
    for layer in range(shape.layers):
        yield from (f"blk.{layer}.attn_norm", f"blk.{layer}.ffn_norm")


def _matrix(size: tuple[int, ...], kind: int, draw: np.random.Generator) -> bytes:
    """Random blocks with a scale that keeps the activations near 1."""
    import numpy as np

    columns, rows = size
    blocks = np.empty((columns * rows // _BLOCK, 2 + _PAYLOAD[kind]), np.uint8)
    scale = (0.001 if kind == _Q8_0 else 0.015) * (WIDTH / columns) ** 0.5
    blocks[:, :2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    blocks[:, 2:] = draw.integers(0, 256, (len(blocks), _PAYLOAD[kind]), np.uint8)
    return blocks.tobytes()


def _keys(shape: Shape) -> Iterator[bytes]:
    yield _text("general.architecture") + struct.pack("<I", _STRING) + _text("llama")
    for name, value in (
        ("vocab_size", shape.tokens),
        ("context_length", shape.context),
        ("embedding_length", shape.width),
        ("block_count", shape.layers),
        ("feed_forward_length", shape.feed_forward),
        ("attention.head_count", shape.width // _HEAD),
        ("rope.dimension_count", _HEAD),
    ):
        yield _text(f"llama.{name}") + struct.pack("<II", _U32, value)
    yield _text("llama.attention.layer_norm_rms_epsilon") + struct.pack("<If", _FLOAT, 1e-5)


def _words(shape: Shape) -> Iterator[bytes]:
    """A SentencePiece vocabulary: three control tokens, the 256 bytes, and words that nobody says."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    kinds = [_UNKNOWN, _CONTROL, _CONTROL, *([_BYTE] * 256)]
    spare = shape.tokens - len(names)
    names += [f"\u2581word{number}" for number in range(spare)]
    kinds += [_NORMAL] * spare
    yield _text("tokenizer.ggml.model") + struct.pack("<I", _STRING) + _text("llama")
    head = struct.pack("<IIQ", _ARRAY, _STRING, len(names))
    yield _text("tokenizer.ggml.tokens") + head + b"".join(map(_text, names))
    for name, kind, letter, values in (("scores", _FLOAT, "f", [0.0] * len(names)), ("token_type", _I32, "i", kinds)):
        head = struct.pack("<IIQ", _ARRAY, kind, len(names))
        yield _text(f"tokenizer.ggml.{name}") + head + struct.pack(f"<{len(names)}{letter}", *values)
    for name, value in (("unknown", 0), ("bos", 1), ("eos", 2)):
        yield _text(f"tokenizer.ggml.{name}_token_id") + struct.pack("<II", _U32, value)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
