# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole answer, its usage and its log-probabilities, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from llama_orch.wire.generation import Head, TokenLogprob, Whole
from llama_orch_utils.types import Usage


def answer(head: Head, whole: Whole) -> bytes:
    """The `chat.completion` object."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": whole.text, "refusal": None},
        "logprobs": None if whole.logprobs is None else logprobs_object(whole.logprobs),
        "finish_reason": whole.finish_reason,
    }
    completion = {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [choice],
        "usage": usage_object(whole.usage),
    }
    return json.dumps(completion, ensure_ascii=False).encode("utf-8", "replace")


def count(tokens: int) -> bytes:
    """The prompt's token count, as llama.cpp's server answers `…/input_tokens`."""
    return json.dumps({"input_tokens": tokens}).encode()


def usage_object(usage: Usage) -> dict[str, object]:
    """The `usage` object; cached tokens are part of the prompt's."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def logprobs_object(logprobs: Sequence[TokenLogprob]) -> dict[str, object]:
    """The `logprobs` object of a choice."""
    return {"content": [_token(item, with_top=True) for item in logprobs], "refusal": None}


def _token(item: TokenLogprob, *, with_top: bool) -> dict[str, object]:
    # A token may be a part of a code point: `bytes` is exact, `token` is for the eye.
    found: dict[str, object] = {
        "token": item.text.decode("utf-8", "replace"),
        "logprob": max(item.logprob, -9999.0),  # minus infinity is no JSON; OpenAI says -9999.0 as well
        "bytes": list(item.text),
    }
    if with_top:
        found["top_logprobs"] = [_token(rival, with_top=False) for rival in item.top]
    return found
