# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUFs of any size without weights: a whole header, and a sparse file behind it. llama.cpp lays them out unread."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

SHAPES: dict[str, dict[str, Any]] = {
    "small": {"arch": "llama", "vocab": 32000, "embd": 512, "layers": 8, "heads": 8, "kv": 4, "ff": 1536},
    "qwen2-0.5b": {
        "arch": "qwen2", "vocab": 151936, "embd": 896, "layers": 24, "heads": 14, "kv": 2, "ff": 4864,
        "quant": Kind.Q8_0, "bias": True,
    },
    "llama-1b": {"arch": "llama", "vocab": 128256, "embd": 2048, "layers": 16, "heads": 32, "kv": 8, "ff": 8192},
    "llama-8b": {
        "arch": "llama", "vocab": 128256, "embd": 4096, "layers": 32, "heads": 32, "kv": 8, "ff": 14336,
        "quant": Kind.Q4_0, "tied": False,
    },
    "qwen3-4b": {
        "arch": "qwen3", "vocab": 151936, "embd": 2560, "layers": 36, "heads": 32, "kv": 8, "ff": 9728, "head": 128,
        "norms": True,
    },
    "qwen3-30b-a3b": {
        "arch": "qwen3moe", "vocab": 151936, "embd": 2048, "layers": 48, "heads": 32, "kv": 4, "ff": 6144, "head": 128,
        "norms": True, "experts": 128, "used": 8, "wide": 768, "tied": False, "quant": Kind.Q4_K,
    },
    "gemma3-1b": {
        "arch": "gemma3", "vocab": 262144, "embd": 1152, "layers": 26, "heads": 4, "kv": 1, "ff": 6912, "head": 256,
        "norms": True, "window": 512,
    },
    "mamba": {"arch": "mamba", "vocab": 32000, "embd": 1024, "layers": 12},
    "lfm2": {"arch": "lfm2", "vocab": 65536, "embd": 1024, "layers": 12, "heads": 16, "kv": 8, "ff": 4096},
}  # fmt: skip


class _Writer:
    def __init__(self, path: Path, arch: str, quant: Kind) -> None:
        self.path, self.quant, self.size = path, quant, 0
        self.gguf = gguf.GGUFWriter(str(path), arch)

    def tensor(self, name: str, *shape: int, kind: Kind | None = None) -> None:
        kind = kind or (self.quant if len(shape) > 1 else Kind.F32)
        block, size = gguf.GGML_QUANT_SIZES[kind]
        count = math.prod(shape) * size // block
        self.gguf.add_tensor_info(name, shape, np.dtype(np.float32), count, raw_dtype=kind)
        self.size += -(-count // 32) * 32

    def close(self) -> Path:
        self.gguf.write_header_to_file()
        self.gguf.write_kv_data_to_file()
        self.gguf.write_ti_data_to_file()
        self.gguf.close()
        os.truncate(self.path, -(-self.path.stat().st_size // 32) * 32 + self.size)
        return self.path


def write(folder: Path, name: str) -> Path:
    """The GGUF of SHAPES[name]."""
    shape = dict(SHAPES[name])
    arch, vocab, embd, layers = (shape.pop(key) for key in ("arch", "vocab", "embd", "layers"))
    writer = _Writer(folder / f"{name}.gguf", arch, shape.pop("quant", Kind.F16))
    head = writer.gguf
    head.add_string("tokenizer.ggml.model", "no_vocab")
    head.add_vocab_size(vocab)
    head.add_context_length(131072)
    head.add_embedding_length(embd)
    head.add_block_count(layers)
    head.add_layer_norm_rms_eps(1e-5)
    writer.tensor("token_embd.weight", vocab, embd)
    {"mamba": _mamba, "lfm2": _lfm2}.get(arch, _dense)(writer, embd, layers, vocab, **shape)
    return writer.close()


def _dense(
    writer: _Writer, embd: int, layers: int, vocab: int, *, heads: int, kv: int, ff: int, head: int = 0,
    tied: bool = True, bias: bool = False, norms: bool = False, window: int = 0, experts: int = 0, used: int = 0,
    wide: int = 0,
) -> None:  # fmt: skip
    head = head or embd // heads
    meta = writer.gguf
    meta.add_feed_forward_length(ff)
    meta.add_head_count(heads)
    meta.add_head_count_kv(kv)
    meta.add_key_length(head)
    meta.add_value_length(head)
    meta.add_rope_dimension_count(head)
    if window:
        meta.add_sliding_window(window)
    if experts:
        meta.add_expert_count(experts)
        meta.add_expert_used_count(used)
        meta.add_expert_feed_forward_length(wide)
    writer.tensor("output_norm.weight", embd)
    if not tied:
        writer.tensor("output.weight", vocab, embd)
    for index in range(layers):
        at = f"blk.{index}."
        _attention(writer, at, embd, heads, kv, head, bias=bias, norms=norms)
        if window:
            writer.tensor(at + "post_attention_norm.weight", embd)
            writer.tensor(at + "post_ffw_norm.weight", embd)
        writer.tensor(at + "ffn_norm.weight", embd)
        many = (experts,) if experts else ()
        suffix = "_exps.weight" if experts else ".weight"
        inner = wide if experts else ff
        if experts:
            writer.tensor(at + "ffn_gate_inp.weight", experts, embd, kind=Kind.F32)
        writer.tensor(at + "ffn_gate" + suffix, *many, inner, embd)
        writer.tensor(at + "ffn_up" + suffix, *many, inner, embd)
        writer.tensor(at + "ffn_down" + suffix, *many, embd, inner)


def _attention(writer: _Writer, at: str, embd: int, heads: int, kv: int, head: int, *, bias: bool, norms: bool) -> None:
    writer.tensor(at + "attn_norm.weight", embd)
    for name, rows in (("q", head * heads), ("k", head * kv), ("v", head * kv)):
        writer.tensor(f"{at}attn_{name}.weight", rows, embd)
        if bias:
            writer.tensor(f"{at}attn_{name}.bias", rows)
    writer.tensor(at + "attn_output.weight", embd, head * heads)
    if norms:
        writer.tensor(at + "attn_q_norm.weight", head)
        writer.tensor(at + "attn_k_norm.weight", head)


def _mamba(
    writer: _Writer, embd: int, layers: int, vocab: int, *, state: int = 16, conv: int = 4, rank: int = 64
) -> None:
    inner, meta = 2 * embd, writer.gguf
    meta.add_feed_forward_length(0)
    meta.add_head_count(0)
    meta.add_ssm_conv_kernel(conv)
    meta.add_ssm_inner_size(inner)
    meta.add_ssm_state_size(state)
    meta.add_ssm_time_step_rank(rank)
    writer.tensor("output_norm.weight", embd)
    for index in range(layers):
        at = f"blk.{index}."
        writer.tensor(at + "attn_norm.weight", embd)
        writer.tensor(at + "ssm_in.weight", 2 * inner, embd)
        writer.tensor(at + "ssm_conv1d.weight", inner, conv, kind=Kind.F32)
        writer.tensor(at + "ssm_conv1d.bias", inner)
        writer.tensor(at + "ssm_x.weight", rank + 2 * state, inner)
        writer.tensor(at + "ssm_dt.weight", inner, rank)
        writer.tensor(at + "ssm_dt.bias", inner)
        writer.tensor(at + "ssm_a", inner, state, kind=Kind.F32)
        writer.tensor(at + "ssm_d", inner)
        writer.tensor(at + "ssm_out.weight", embd, inner)


def _lfm2(writer: _Writer, embd: int, layers: int, vocab: int, *, heads: int, kv: int, ff: int) -> None:
    attends, meta, head = (2, 5, 8, 10), writer.gguf, embd // heads
    meta.add_feed_forward_length(ff)
    meta.add_head_count(heads)
    meta.add_head_count_kv([kv if index in attends else 0 for index in range(layers)])
    meta.add_uint32("lfm2.shortconv.l_cache", 3)
    meta.add_rope_dimension_count(head)
    writer.tensor("token_embd_norm.weight", embd)
    for index in range(layers):
        at = f"blk.{index}."
        if index in attends:
            _attention(writer, at, embd, heads, kv, head, bias=False, norms=True)
        else:
            writer.tensor(at + "attn_norm.weight", embd)
            writer.tensor(at + "shortconv.conv.weight", embd, 3, kind=Kind.F32)
            writer.tensor(at + "shortconv.in_proj.weight", 3 * embd, embd)
            writer.tensor(at + "shortconv.out_proj.weight", embd, embd)
        writer.tensor(at + "ffn_norm.weight", embd)
        for name, rows, columns in (("gate", ff, embd), ("up", ff, embd), ("down", embd, ff)):
            writer.tensor(f"{at}ffn_{name}.weight", rows, columns)
