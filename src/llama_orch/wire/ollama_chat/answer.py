# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole answer."""

from __future__ import annotations

import json
from typing import Any

from llama_orch.wire.generation import Choice, Generation, Head, Whole
from llama_orch.wire.ollama_chat.calls import call_object
from llama_orch.wire.ollama_chat.figures import LOADED, dump, end_members, logprobs_list, now


def answer(head: Head, whole: Whole, generation: Generation) -> bytes:  # noqa: ARG001 - one signature for all dialects
    """The answer object. Raises InvalidAnswer for a call whose arguments are no JSON object."""
    found: dict[str, Any] = {"model": head.model, "created_at": now()}
    if not whole.choices:
        return dump(found | {"message": {"role": "assistant", "content": ""}} | LOADED)
    choice = whole.choices[0]
    found["message"] = _message(choice)
    if choice.logprobs is not None:
        found["logprobs"] = logprobs_list(choice.logprobs)
    return dump(found | end_members(choice.finish_reason, whole.usage, whole.timing))


def count(tokens: int) -> bytes:
    """A prompt's token count; Ollama has no such route, this is for ours."""
    return json.dumps({"prompt_eval_count": tokens}).encode()


def _message(choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.text}
    if choice.reasoning:
        message["thinking"] = choice.reasoning
    calls = [call_object(index, call, choice.finish_reason) for index, call in enumerate(choice.calls)]
    if any(calls):
        message["tool_calls"] = [call for call in calls if call]
    return message
