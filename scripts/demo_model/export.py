# SPDX-License-Identifier: GPL-3.0-or-later
"""Export to GGUF: tensors of type Q8_0 (norms stay F32), the tokenizer, the chat template, the metadata."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType, TokenType
from tokenizers import Tokenizer

from .network import Llama
from .tokenizer import CONTROL, END, END_OF_TEXT

TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] | trim + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
DESCRIPTION = "A tiny demo model, trained from scratch, that answers questions about llama-orch and nothing else."


def export(model: Llama, tokenizer: Tokenizer, path: Path) -> None:
    """Write the model to `path` as one Q8_0 GGUF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(str(path), "llama")
    _write_metadata(writer, model)
    _write_tokenizer(writer, tokenizer)
    for name, tensor in tensors(model).items():
        _write_tensor(writer, name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_metadata(writer: gguf.GGUFWriter, model: Llama) -> None:
    shape = model.shape
    writer.add_name("orch-demo")
    writer.add_description(DESCRIPTION)
    writer.add_license("GPL-3.0-or-later")
    writer.add_author("The llama-orch developers")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_sampling_temp(0.0)  # greedy, unless somebody asks for something else
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.eps)
    writer.add_vocab_size(shape.vocab)


def _write_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    vocab = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([token for token, _ in vocab])
    writer.add_token_types([TokenType.CONTROL if t in CONTROL else TokenType.NORMAL for t, _ in vocab])
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_eos_token_id(tokenizer.token_to_id(END))
    writer.add_eot_token_id(tokenizer.token_to_id(END))
    writer.add_pad_token_id(tokenizer.token_to_id(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)


PARTS = {"attn_qkv": ("attn_q", "attn_k", "attn_v"), "ffn_gate_up": ("ffn_gate", "ffn_up")}


def tensors(model: Llama) -> dict[str, np.ndarray]:
    """Tensors by the names of llama.cpp, fused ones taken apart; the tied output matrix is left out."""
    result = {}
    for name, tensor in model.state_dict().items():
        stem = name.removesuffix(".weight").replace("attention.", "").replace("feed_forward.", "")
        prefix, dot, kind = stem.rpartition(".")
        parts = PARTS.get(kind, (kind,))
        for part, piece in zip(parts, tensor.detach().float().chunk(len(parts)), strict=True):
            result[f"{prefix}{dot}{part}.weight"] = piece.contiguous().numpy()
    return result


def _write_tensor(writer: gguf.GGUFWriter, name: str, tensor: np.ndarray) -> None:
    if tensor.ndim == 1:
        writer.add_tensor(name, tensor.astype(np.float32))
        return
    kind = GGMLQuantizationType.Q8_0
    writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
