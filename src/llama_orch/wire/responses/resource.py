# SPDX-License-Identifier: GPL-3.0-or-later
"""The `response` object, in every state."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal, cast

from llama_orch.wire.generation import FinishReason, Head
from llama_orch.wire.json_body import Json
from llama_orch.wire.price import cost_member
from llama_orch_utils.errors import ContextTooLong, OrchError, RateLimited
from llama_orch_utils.types import Usage

State = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
_FIRST_SERVER_STATUS = 500


def resource(
    head: Head,
    repeats: Mapping[str, Json],
    state: State,
    output: list[dict[str, object]],
    usage: Usage | None = None,
    error: OrchError | None = None,
) -> dict[str, object]:
    """The object, with what the request said and what came of it so far."""
    echo = cast("dict[str, object]", repeats["echo"])
    found: dict[str, object] = {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "completed_at": int(time.time()) if state == "completed" else None,
        "status": state,
        "model": head.model,
        "error": None if error is None else error_object(error),
        "incomplete_details": {"reason": "max_output_tokens"} if state == "incomplete" else None,
        "output": output,
        "usage": None if usage is None else usage_object(usage),
    }
    found |= echo
    # What the model's author recommends counts where the client is silent; the API's default where nothing is known.
    for name, used in (("temperature", head.temperature), ("top_p", head.top_p)):
        if found[name] is None:
            found[name] = 1.0 if used is None else used
    return found


def ended(reason: FinishReason) -> Literal["completed", "incomplete"]:
    """How a response ends whose answer finished so."""
    return "incomplete" if reason == "length" else "completed"


def usage_object(usage: Usage) -> dict[str, object]:
    """The `usage` object. Nothing is charged for writing to the cache, so that count is 0."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
        **cost_member(usage),
    }


def error_object(error: OrchError) -> dict[str, object]:
    """The `error` of a failed response; clients know these codes (OpenAI's, and Codex's for a full context)."""
    if isinstance(error, ContextTooLong):
        code = error.code
    elif isinstance(error, RateLimited):
        code = "rate_limit_exceeded"
    else:
        code = "server_error" if error.status >= _FIRST_SERVER_STATUS else "invalid_prompt"
    return {"code": code, "message": error.message}
