# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model can do, from its GGUF metadata alone."""

from __future__ import annotations

from llama_orch.models.gguf_header import GgufHeader

_RANK = 4  # llama_pooling_type (llama.h): 0 none, 1 mean, 2 cls, 3 last, 4 rank
_NO_MODEL = ("adapter", "mmproj")
_HEADS = ("cls.weight", "cls.output.weight")
# Before, after and in the middle of a gap (llama-vocab.cpp): the names today, and those of older files.
_GAP = (("fim_pre", "prefix"), ("fim_suf", "suffix"), ("fim_mid", "middle"))


def capabilities_of(header: GgufHeader, *, vision: bool = False) -> tuple[str, ...]:
    """Any of completion, chat, tools, thinking, insert, vision; or embedding; or rerank; none of what is no model.

    `vision` tells that a projector belongs to the model; where positions have three dimensions (M-RoPE), our engine
    cannot use it.
    """
    if header.text("general.type") in _NO_MODEL or header.architecture == "clip":
        return ()
    pooling = header.number("pooling_type")
    if pooling is not None and pooling > 0:
        if pooling != _RANK:
            return ("embedding",)
        return ("rerank",) if any(tensor.name in _HEADS for tensor in header.tensors) else ()
    if header.metadata.get(f"{header.architecture}.attention.causal") is False:
        return ("embedding",)
    found = ["completion", *_of_template(header.text("tokenizer.chat_template"))]
    if all(any(_token(header, name) for name in names) for names in _GAP):
        found.append("insert")
    if vision and f"{header.architecture}.rope.dimension_sections" not in header.metadata:
        found.append("vision")
    return tuple(found)


def _of_template(template: str | None) -> list[str]:
    if template is None:
        return []
    found = ["chat"]
    if "tools" in template:
        found.append("tools")
    if "<think>" in template or "reasoning" in template or "thinking" in template:
        found.append("thinking")
    return found


def _token(header: GgufHeader, name: str) -> bool:
    return header.number(f"tokenizer.ggml.{name}_token_id") is not None
