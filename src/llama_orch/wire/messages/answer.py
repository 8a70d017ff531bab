# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole answer as a `message` object."""

from __future__ import annotations

import json
from typing import Any, cast

from llama_orch.wire.generation import Choice, FinishReason, Generation, Head, ToolCall, Whole
from llama_orch.wire.messages.signature import sign
from llama_orch.wire.price import cost_member
from llama_orch_utils.errors import InvalidAnswer
from llama_orch_utils.types import Usage


def answer(head: Head, whole: Whole, generation: Generation) -> bytes:
    """The `message` object. Raises InvalidAnswer for a call whose arguments are no JSON object."""
    choice = whole.choices[0]
    message = opening(head, whole.usage)
    message |= {
        "content": _content(choice, omitted=bool(generation.repeats.get("thinking_omitted"))),
        "stop_reason": stop_reason(choice.finish_reason, choice.stop, whole.usage, generation),
        "stop_sequence": choice.stop,
        "usage": usage_object(whole.usage),
    }
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")


def count(tokens: int) -> bytes:
    """The answer of `count_tokens`."""
    return json.dumps({"input_tokens": tokens}).encode()


def opening(head: Head, usage: Usage) -> dict[str, Any]:
    """A message of which nothing has been said yet."""
    return {
        "id": head.id,
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage_object(usage),
    }


def usage_object(usage: Usage) -> dict[str, Any]:
    """The `usage` object; here, unlike in OpenAI's, cached tokens are not part of `input_tokens`."""
    return {
        "input_tokens": usage.input_tokens - usage.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.output_tokens,
        **cost_member(usage),
    }


def stop_reason(reason: FinishReason, stop: str | None, usage: Usage, generation: Generation) -> str:
    """Anthropic's word for the end of an answer."""
    if reason == "tool_calls":
        return "tool_use"
    if reason == "stop":
        return "end_turn" if stop is None else "stop_sequence"
    asked = generation.max_tokens
    return "max_tokens" if asked is None or usage.output_tokens >= asked else "model_context_window_exceeded"


def _content(choice: Choice, *, omitted: bool) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if choice.reasoning:
        shown = "" if omitted else choice.reasoning
        blocks.append({"type": "thinking", "thinking": shown, "signature": sign(choice.reasoning, omitted=omitted)})
    if choice.text:
        blocks.append({"type": "text", "text": choice.text})
    for call in choice.calls:
        values = _arguments(call)
        if values is not None:
            blocks.append({"type": "tool_use", "id": tool_id(call.id), "name": call.name, "input": values})
        elif choice.finish_reason != "length":
            raise InvalidAnswer(f"the arguments of the call of {call.name} are no JSON object", text=call.arguments)
    return blocks


def tool_id(identity: str) -> str:
    """A call's id as Anthropic's begin."""
    return identity if identity.startswith("toolu_") else "toolu_" + identity.removeprefix("call_")


def _arguments(call: ToolCall) -> dict[str, Any] | None:
    # A call that max_tokens cut is left out: nobody may run a half of it.
    try:
        values: Any = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", values) if isinstance(values, dict) else None
