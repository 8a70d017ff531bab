# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole answer."""

from __future__ import annotations

from typing import Any

from llama_orch.wire.generation import Generation, Head, Whole
from llama_orch.wire.ollama_chat.figures import LOADED, dump, end_members, logprobs_list, now


def answer(head: Head, whole: Whole, generation: Generation) -> bytes:  # noqa: ARG001 - one signature for all dialects
    """The answer object."""
    found: dict[str, Any] = {"model": head.model, "created_at": now()}
    if not whole.choices:
        return dump(found | {"response": ""} | LOADED)
    choice = whole.choices[0]
    found["response"] = choice.text
    if choice.reasoning:
        found["thinking"] = choice.reasoning
    if choice.logprobs is not None:
        found["logprobs"] = logprobs_list(choice.logprobs)
    return dump(found | end_members(choice.finish_reason, whole.usage, whole.timing))
