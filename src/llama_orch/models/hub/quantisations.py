# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantisations as they stand in the names of files: `Qwen3-0.6B-Q8_0.gguf`, `gemma-3-4b-it-UD-Q4_K_XL.gguf`."""

from __future__ import annotations

import re

_NAMED = re.compile(
    r"(?:^|[-._/])((?:UD-)?(?:I?Q[1-8](?:_[0-9A-Z]+)*|TQ[12]_0|BF16|FP?16|FP?32|MXFP4(?:_MOE)?|NVFP4))(?=$|[-._/])",
    re.IGNORECASE,
)
# What is taken where nobody says: the field's habit is Q4_K_M (llama.cpp's `-hf` takes it too), then what is nearest
# to it in quality per byte, then what is larger; never the small ones that cost quality.
PREFERRED = (
    "Q4_K_M", "MXFP4", "MXFP4_MOE", "UD-Q4_K_XL", "UD-Q4_K_M", "Q4_K_XL", "Q4_K", "Q4_K_L", "Q5_K_M", "Q4_K_S",
    "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1", "Q5_K_S", "Q5_K", "Q5_0", "Q6_K", "Q6_K_L", "Q8_0", "BF16", "F16", "F32",
)  # fmt: skip
PROJECTOR_PREFERRED = ("F16", "BF16", "Q8_0", "F32")


def quantisation_of(name: str) -> str | None:
    """The last quantisation that a file's name tells, upper case; `FP16` is `F16`. None where it tells none."""
    stem = name[:-5] if name.lower().endswith(".gguf") else name
    found = _NAMED.findall(stem)
    return found[-1].upper().replace("FP16", "F16").replace("FP32", "F32") if found else None


def same(one: str, other: str) -> bool:
    """Whether two spellings mean one quantisation."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return text.upper().replace("-", "_").replace("FP16", "F16").replace("FP32", "F32")
