# SPDX-License-Identifier: GPL-3.0-or-later
"""How a context keeps keys and values, computes attention, and counts positions: the options in llama.cpp's words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llama_orch.engine.records import EngineOptions
from llama_orch.engine.vision.kind import kind_of
from llama_orch_utils.errors import EngineFailed

_DRAFT_TOKENS = 4
"""On a CPU a pass over 5 rows costs twice a pass over one: more are seldom worth it (benchmarks/speculation)."""
_TYPES = {
    "f32": 0, "f16": 1, "q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "iq4_nl": 20, "bf16": 30,
}  # fmt: skip
"""ggml_type (ggml.h); the binding names not all of them."""
_FLASH = {"auto": -1, "off": 0, "on": 1}  # llama_flash_attn_type (llama.h)
_ROPE = {"none": 0, "linear": 1, "yarn": 2}  # llama_rope_scaling_type (llama.h)


def check(options: EngineOptions) -> None:
    """Raises EngineFailed for a projector that is none: the others are opened at the first image."""
    if options.projector is not None:
        kind_of(Path(options.projector))


def apply(params: Any, options: EngineOptions) -> None:
    """Sets them in `params`, a llama_context_params. Raises EngineFailed for what llama.cpp would answer with NULL."""
    for name in ("type_k", "type_v"):
        wanted: str | None = getattr(options, f"cache_{name}")
        if wanted is not None:
            setattr(params, name, _TYPES[wanted])
    params.flash_attn_type = _FLASH[options.flash_attention]
    if options.cache_type_v not in (None, "f16", "f32", "bf16") and options.flash_attention == "off":
        raise EngineFailed(
            f"Values kept as {options.cache_type_v} need flash attention, which is off.",
            hint="leave --flash-attention away, or --cache-type-v",
        )
    if options.rope_scaling is not None:
        params.rope_scaling_type = _ROPE[options.rope_scaling]
    if options.rope_scale is not None:
        params.rope_freq_scale = 1.0 / options.rope_scale
    if options.yarn_original_context is not None:
        params.yarn_orig_ctx = options.yarn_original_context


def draft_tokens(options: EngineOptions) -> int:
    """How many tokens a draft proposes at most."""
    return _DRAFT_TOKENS if options.draft_tokens is None else options.draft_tokens


def reach(trained: int, options: EngineOptions) -> int:
    """Tokens of context that the model answers well within: those of its training, extended."""
    if options.rope_scale is None or options.rope_scaling not in ("linear", "yarn"):
        return trained
    return int((options.yarn_original_context or trained) * options.rope_scale)
