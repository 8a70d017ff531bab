# SPDX-License-Identifier: GPL-3.0-or-later
"""What a GGUF's metadata and tensor list say about the memory that the model will take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from llama_orch.models.estimate.ggml_types import row_bytes
from llama_orch.models.gguf_header import GgufHeader, Tensor, read_header

_BLOCK = re.compile(r"blk\.(\d+)\.(.+)")
_RECURRENT = ("ssm_", "shortconv.", "time_mix_")
_KEYS = ("attn_k.", "attn_kv_a_mqa.", "attn_k_b.")
_ENCODERS = ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert",
             "eurobert", "gemma-embedding", "t5encoder")  # fmt: skip
"""Architectures that keep no keys and values (llama-model.cpp, `create_memory`: null)."""
_MOST_LAYERS = 1 << 14


@dataclass(frozen=True, slots=True)
class Layer:
    """One block.

    `keys` and `values` are numbers per token that attention keeps (0: none), `state` numbers per sequence of a
    recurrent one; `window` tokens that a sliding-window layer looks back at (0: all); `weights` bytes.
    """

    keys: int = 0
    values: int = 0
    state: int = 0
    window: int = 0
    weights: int = 0


@dataclass(frozen=True)
class Shape:
    """A model. Widths in numbers, `weights` in bytes as they lie in the file.

    `attention` is the width of all query heads together; `experts` and `experts_used` 0 for a dense model. `causal`
    False: attention to both sides. `classes` of a rank model. `tensors` are all of them.
    """

    architecture: str
    vocabulary: int
    width: int
    heads: int
    attention: int
    keys: int
    feed_forward: int
    experts: int
    experts_used: int
    context_train: int
    layers: tuple[Layer, ...]
    tensors: tuple[Tensor, ...]
    pooling: int = 0
    causal: bool = True
    inner: int = 0

    @cached_property
    def weights(self) -> int:
        """Bytes of all tensors."""
        return sum(tensor_bytes(each) for each in self.tensors)

    @property
    def has_cache(self) -> bool:
        """Whether it keeps keys and values, or a state."""
        return self.architecture not in _ENCODERS

    @property
    def recurrent(self) -> bool:
        """Whether a part of it is."""
        return any(each.state for each in self.layers)

    @cached_property
    def tied(self) -> bool:
        """Whether the token embeddings are the output matrix as well."""
        return all(each.name != "output.weight" for each in self.tensors)

    def plus(self, parts: Iterable[Path]) -> Shape:
        """The whole model of a split file, whose first part this is. Raises EngineFailed as `read_header` does."""
        tensors = [*self.tensors]
        for part in parts:
            tensors += read_header(part).tensors
        return replace(self, tensors=tuple(tensors), layers=_weighed(self.layers, tensors))


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of its data."""
    rows = 1
    for each in tensor.shape[1:]:
        rows *= each
    return rows * row_bytes(tensor.kind, tensor.shape[0] if tensor.shape else 1)


def read_shape(path: Path, parts: Sequence[Path] = ()) -> Shape:
    """The shape of the GGUF at `path`, with further `parts` of a split one. Raises EngineFailed as `read_header`."""
    shape = shape_of(read_header(path))
    return shape.plus(parts) if parts else shape


def shape_of(header: GgufHeader) -> Shape:
    """The shape that a header describes; what it leaves out is taken as llama.cpp takes it."""
    count = min(header.number("block_count") or 0, _MOST_LAYERS)
    width = header.number("embedding_length") or 0
    heads = max(_per_layer(header, "attention.head_count", count, 1), default=1) or 1
    head = header.number("attention.key_length") or width // heads
    layers = _layers(header, count, heads, width // heads)
    embedding = next((each for each in header.tensors if each.name == "token_embd.weight"), None)
    vocabulary = header.lengths.get("tokenizer.ggml.tokens") or header.number("vocab_size") or 0
    return Shape(
        architecture=header.architecture,
        vocabulary=embedding.shape[1] if embedding and len(embedding.shape) > 1 else vocabulary,
        width=width,
        heads=heads,
        attention=heads * head,
        keys=max((each.keys for each in layers), default=0),
        feed_forward=_feed_forward(header, count),
        experts=header.number("expert_count") or 0,
        experts_used=header.number("expert_used_count") or 0,
        context_train=header.number("context_length") or 0,
        layers=_weighed(layers, header.tensors),
        tensors=header.tensors,
        pooling=max(0, header.number("pooling_type") or 0),
        causal=header.metadata.get(f"{header.architecture}.attention.causal") is not False,
        inner=header.number("ssm.inner_size") or 0,
    )


def _feed_forward(header: GgufHeader, count: int) -> int:
    if header.number("expert_used_count"):
        return header.number("expert_feed_forward_length") or max(_per_layer(header, "feed_forward_length", count, 0))
    return max(_per_layer(header, "feed_forward_length", count, 0), default=0)


def _layers(header: GgufHeader, count: int, heads: int, head: int) -> list[Layer]:
    kv_heads = _per_layer(header, "attention.head_count_kv", count, heads)
    mla = header.number("attention.key_length_mla") is not None
    key, value = header.number("attention.key_length") or head, header.number("attention.value_length") or head
    key_swa, value_swa = header.number("attention.key_length_swa"), header.number("attention.value_length_swa")
    windows = _windows(header, count)
    kept = count - (header.number("attention.shared_kv_layers") or 0)
    state, names = _state(header, heads), _names(header.tensors, count)
    found: list[Layer] = []
    for index in range(count):
        recurrent = any(name.startswith(_RECURRENT) for name in names[index])
        attends = any(name.startswith(_KEYS) for name in names[index]) or not recurrent
        many = kv_heads[index] if attends and index < kept else 0
        one_key = (key_swa or key) if windows[index] else key
        one_value = 0 if mla else (value_swa or value) if windows[index] else value
        found.append(Layer(many * one_key, many * one_value, state if recurrent else 0, windows[index]))
    return found


def _names(tensors: Iterable[Tensor], count: int) -> list[list[str]]:
    names: list[list[str]] = [[] for _ in range(count)]
    for tensor in tensors:
        found = _BLOCK.match(tensor.name)
        if found and int(found[1]) < count:
            names[int(found[1])].append(found[2])
    return names


def _weighed(layers: Sequence[Layer], tensors: Iterable[Tensor]) -> tuple[Layer, ...]:
    weights = [0] * len(layers)
    for tensor in tensors:
        found = _BLOCK.match(tensor.name)
        if found and int(found[1]) < len(weights):
            weights[int(found[1])] += tensor_bytes(tensor)
    return tuple(replace(layer, weights=weight) for layer, weight in zip(layers, weights, strict=True))


def _windows(header: GgufHeader, count: int) -> list[int]:
    """The window of each layer: by the pattern in the file, else by the one that llama.cpp has for the architecture."""
    window = header.number("attention.sliding_window") or 0
    if not window:
        return [0] * count
    pattern = header.metadata.get(f"{header.architecture}.attention.sliding_window_pattern")
    if isinstance(pattern, list) and len(pattern) == count:
        return [window if each else 0 for each in pattern]
    period = pattern if isinstance(pattern, int) and pattern > 0 else _PERIODS.get(header.architecture, 0)
    return [window if period and index % period < period - 1 else 0 for index in range(count)]


_PERIODS = {
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "cohere2": 4,
    "gpt-oss": 2,
    "olmo2": 4,
    "exaone4": 4,
    "smallthinker": 4,
}
"""`set_swa_pattern` of llama.cpp's models/*.cpp: every so many layers one attends to everything."""


def _state(header: GgufHeader, heads: int) -> int:
    """Numbers that one recurrent layer keeps for a sequence (llama-hparams.cpp, `n_embd_r` and `n_embd_s`)."""
    width, conv = header.number("embedding_length") or 0, header.number("ssm.conv_kernel") or 0
    if size := header.number("wkv.head_size"):
        return width * (size + (header.number("token_shift_count") or 2))
    if length := header.number("shortconv.l_cache"):
        return width * (length - 1)
    if size := header.number("kda.head_dim"):
        return heads * size * (size + 3 * max(conv - 1, 0 if conv else 3))
    inner, state = header.number("ssm.inner_size") or 0, header.number("ssm.state_size") or 0
    groups = header.number("ssm.group_count") or 0
    return max(conv - 1, 0) * (inner + 2 * groups * state) + inner * state


def _per_layer(header: GgufHeader, key: str, count: int, default: int) -> list[int]:
    """A number for each layer, from one for all or a list."""
    found = header.metadata.get(f"{header.architecture}.{key}")
    if isinstance(found, list):
        numbers = [each if isinstance(each, int) and each >= 0 else default for each in found]
        return (numbers + [default] * count)[:count]
    return [found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else default] * count
