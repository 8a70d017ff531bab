# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole answer, its usage and its log-probabilities, as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from llama_orch.wire.generation import Choice, Generation, Head, TokenLogprob, ToolCall, Whole
from llama_orch.wire.price import cost_member
from llama_orch_utils.types import Usage

LEAST_LOGPROB = -9999.0
"""Minus infinity is no JSON; OpenAI says this instead."""


def answer(head: Head, whole: Whole, generation: Generation) -> bytes:  # noqa: ARG001 - one signature for all dialects
    """The `chat.completion` object."""
    completion = {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": [_choice(index, choice) for index, choice in enumerate(whole.choices)],
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
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        **cost_member(usage),
    }


def call_object(call: ToolCall) -> dict[str, object]:
    """One tool call of a message."""
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def logprobs_object(logprobs: Sequence[TokenLogprob]) -> dict[str, object]:
    """The `logprobs` object of a choice."""
    return {"content": [_token(item, with_top=True) for item in logprobs], "refusal": None}


def _choice(index: int, choice: Choice) -> dict[str, object]:
    # OpenAI's answers have null where a message is nothing but calls.
    content = None if choice.calls and not choice.text else choice.text
    message: dict[str, object] = {"role": "assistant", "content": content, "refusal": None}
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.calls:
        message["tool_calls"] = [call_object(call) for call in choice.calls]
    return {
        "index": index,
        "message": message,
        "logprobs": None if choice.logprobs is None else logprobs_object(choice.logprobs),
        "finish_reason": choice.finish_reason,
    }


def _token(item: TokenLogprob, *, with_top: bool) -> dict[str, object]:
    # A token may be a part of a code point: `bytes` is exact, `token` is for the eye.
    found: dict[str, object] = {
        "token": item.text.decode("utf-8", "replace"),
        "logprob": max(item.logprob, LEAST_LOGPROB),
        "bytes": list(item.text),
    }
    if with_top:
        found["top_logprobs"] = [_token(rival, with_top=False) for rival in item.top]
    return found
