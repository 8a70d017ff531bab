# SPDX-License-Identifier: GPL-3.0-or-later
"""How a model's author wants it sampled, from its GGUF: `general.sampling.*`, as llama.cpp and its server read it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llama_orch.engine.records import Sampling

# Our field: the key's last word, and the range in which a value is believed (a file may say anything).
_KEYS: dict[str, tuple[str, type[int | float], float, float]] = {
    "temperature": ("temp", float, 0.0, 10.0),
    "top_k": ("top_k", int, 0, 1_000_000),
    "top_p": ("top_p", float, 0.0, 1.0),
    "min_p": ("min_p", float, 0.0, 1.0),
    "repeat_penalty": ("penalty_repeat", float, 0.01, 10.0),
    "repeat_last_n": ("penalty_last_n", int, -1, 1_000_000),
}


def recommended_sampling(metadata: Callable[[str], str | None]) -> Sampling:
    """Sampling's defaults with what the model recommends on top; what is no number or out of range is left aside."""
    said: dict[str, Any] = {}
    for name, (word, kind, least, most) in _KEYS.items():
        value = _number(metadata(f"general.sampling.{word}"))
        if value is not None and least <= value <= most:
            said[name] = kind(value)
    return Sampling(**said)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
