# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts of an exact length in tokens, different in every round, so that no server answers from an earlier one."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

WORDS = [
    "the",
    "river",
    "bends",
    "where",
    "old",
    "stone",
    "bridges",
    "carry",
    "carts",
    "of",
    "grain",
    "toward",
    "market",
    "towns",
    "before",
    "winter",
    "rain",
]
Tokenizer = Callable[[str], int]


def words(rng: random.Random, tokens: int, count: Tokenizer) -> str:
    """Random words that make `tokens` tokens, or one or two fewer."""
    text = " ".join(rng.choice(WORDS) for _ in range(tokens * 2))
    low, high = 1, len(text)
    while low < high:  # the longest beginning that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(text[:middle]) <= tokens else (low, middle - 1)
    return text[:low]


def body(text: str, output_tokens: int, banned: list[int], model: str) -> bytes:
    """A greedy streaming request for exactly `output_tokens` (the end-of-turn tokens are banned)."""
    return json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": output_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
            "logit_bias": {str(token): -100 for token in banned},
        }
    ).encode()
