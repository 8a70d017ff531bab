# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole answer as JSON: the `text_completion` object."""

from __future__ import annotations

import json

from llama_orch.wire.chat_completions.answer import usage_object
from llama_orch.wire.completions.logprobs import logprobs_object
from llama_orch.wire.generation import Choice, Generation, Head, Whole


def answer(head: Head, whole: Whole, generation: Generation) -> bytes:  # noqa: ARG001 - one signature for all dialects
    """The choices of the first prompt, then those of the second, and so on."""
    completion = {
        "id": head.id,
        "object": "text_completion",
        "created": head.created,
        "model": head.model,
        "choices": [_choice(index, choice) for index, choice in enumerate(whole.choices)],
        "usage": usage_object(whole.usage),
    }
    return json.dumps(completion, ensure_ascii=False).encode("utf-8", "replace")


def _choice(index: int, choice: Choice) -> dict[str, object]:
    return {
        "text": choice.text,
        "index": index,
        "logprobs": None if choice.logprobs is None else logprobs_object(choice.logprobs),
        "finish_reason": choice.finish_reason,
    }
