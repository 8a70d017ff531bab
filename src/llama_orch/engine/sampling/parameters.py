# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling parameters are checked once, before anything is generated: C takes every number as it comes."""

from __future__ import annotations

import math
import os

from llama_orch.engine.records import Sampling
from llama_orch_utils.errors import BadRequest

MAX_LOGPROBS = 20
MAX_BIASES = 4096
NEVER = -100.0
"""A logit bias at or below this bans the token (the OpenAI API's convention)."""
COLD = 1e-4
"""Temperatures below this are greedy: dividing logits by them leaves the range of a float."""

_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0.0, 1e4),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "typical_p": (0.0, 1.0),
    "repeat_penalty": (1e-3, 1e3),
    "frequency_penalty": (-1e3, 1e3),
    "presence_penalty": (-1e3, 1e3),
}
_RANDOM_SEEDS = (-1, 0xFFFFFFFF)  # llama-server's and llama.cpp's (LLAMA_DEFAULT_SEED) word for "any"


def check(sampling: Sampling, n_tokens: int) -> None:
    """Raises BadRequest whose `param` points at the first parameter that is out of its range."""
    for name, (low, high) in _RANGES.items():
        value = float(getattr(sampling, name))
        if not low <= value <= high:  # also refuses NaN
            raise BadRequest(f"{name} is {value:g}; it must be between {low:g} and {high:g}.", param=f"/{name}")
    if sampling.repeat_last_n < -1:
        raise BadRequest("repeat_last_n must be -1 (the whole context) or more.", param="/repeat_last_n")
    if sampling.logprobs is not None and not 0 <= sampling.logprobs <= MAX_LOGPROBS:
        message = f"{sampling.logprobs} alternatives per token; it must be between 0 and {MAX_LOGPROBS}."
        raise BadRequest(message, param="/top_logprobs")
    if sampling.grammar is not None and sampling.json_schema is not None:
        raise BadRequest("A grammar and a JSON schema exclude each other.", param="/grammar")
    _check_biases(sampling, n_tokens)


def _check_biases(sampling: Sampling, n_tokens: int) -> None:
    if len(sampling.logit_bias) > MAX_BIASES:
        message = f"{len(sampling.logit_bias)} logit biases; at most {MAX_BIASES} are allowed."
        raise BadRequest(message, param="/logit_bias")
    for token, bias in sampling.logit_bias.items():
        if not 0 <= token < n_tokens:
            message = f"Token {token} is outside the vocabulary (0 to {n_tokens - 1})."
            raise BadRequest(message, param=f"/logit_bias/{token}")
        if math.isnan(bias) or bias > 1e6:  # noqa: PLR2004 - beyond any logit, and safe to add to one
            raise BadRequest(f"The bias of token {token} must be a finite number.", param=f"/logit_bias/{token}")


def is_greedy(sampling: Sampling) -> bool:
    """Whether the most likely token is always taken (typical sampling may drop even that one)."""
    return sampling.temperature < COLD and sampling.typical_p >= 1.0


def seed_of(sampling: Sampling) -> int:
    """A 32-bit seed other than llama.cpp's word for a random one; drawn here when the request leaves it open."""
    if sampling.seed is None or sampling.seed in _RANDOM_SEEDS:
        seed = int.from_bytes(os.urandom(4), "little")
    else:
        seed = sampling.seed & 0xFFFFFFFF
    return seed if seed != _RANDOM_SEEDS[1] else 0
