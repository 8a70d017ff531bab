# SPDX-License-Identifier: GPL-3.0-or-later
"""How tokens are drawn: what the Responses API says about it, and the further parameters of llama.cpp's server."""

from __future__ import annotations

from llama_orch.wire.fields import Fields
from llama_orch.wire.generation import SamplingWish

MAX_COUNT = 2**31 - 1
MAX_TOP_LOGPROBS = 20


def read_sampling(fields: Fields, *, schema: str | None, logprobs: bool) -> SamplingWish:
    """All fields about sampling, in their ranges; `schema` is the answer's, `logprobs` whether they are included."""
    top = fields.integer("top_logprobs", 0, MAX_TOP_LOGPROBS)
    return SamplingWish(
        temperature=fields.number("temperature", 0, 100),
        top_k=fields.integer("top_k", 0, MAX_COUNT),
        top_p=fields.number("top_p", 0, 1),
        min_p=fields.number("min_p", 0, 1),
        typical_p=fields.number("typical_p", 0, 1),
        repeat_penalty=fields.number("repeat_penalty", 0.01, 100),
        frequency_penalty=fields.number("frequency_penalty", -2, 2),
        presence_penalty=fields.number("presence_penalty", -2, 2),
        repeat_last_n=fields.integer("repeat_last_n", -1, MAX_COUNT),
        seed=fields.integer("seed", -(2**63), 2**64 - 1),
        json_schema=schema,
        logprobs=(top or 0) if logprobs or top else None,
    )
