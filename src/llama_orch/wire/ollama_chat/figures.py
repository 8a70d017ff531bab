# SPDX-License-Identifier: GPL-3.0-or-later
"""The members that every answer of Ollama's shares: model, time, counts, durations, log-probabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from llama_orch.wire.generation import FinishReason, Timing, TokenLogprob
from llama_orch.wire.price import cost_member
from llama_orch_utils.types import Usage

LEAST_LOGPROB = -9999.0
_NANOSECONDS = 1_000_000_000


def now() -> str:
    """The present moment as RFC 3339, as Go writes it in UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def end_members(reason: FinishReason, usage: Usage, timing: Timing | None) -> dict[str, Any]:
    """What the last object of an answer tells.

    Durations are nanoseconds: in all; of loading (0: the model was there); to the first token, waiting for a place
    included; from there to the end.
    """
    total, first = (0.0, 0.0) if timing is None else (timing.total, timing.first)
    return {
        "done": True,
        "done_reason": "length" if reason == "length" else "stop",
        "total_duration": int(total * _NANOSECONDS),
        "load_duration": 0,
        "prompt_eval_count": usage.input_tokens,
        "prompt_eval_cached_count": usage.cached_tokens,
        "prompt_eval_duration": int(first * _NANOSECONDS),
        "eval_count": usage.output_tokens,
        "eval_duration": int(max(0.0, total - first) * _NANOSECONDS),
        **usage_member(usage),
    }


def usage_member(usage: Usage) -> dict[str, Any]:
    """`{"usage": {"cost": …}}`, which Ollama has not, in micro-euros; nothing where nobody charges."""
    cost = cost_member(usage)
    return {"usage": cost} if cost else {}


LOADED: dict[str, Any] = {"done": True, "done_reason": "load"}
"""The answer to a request without a prompt."""


def logprobs_list(logprobs: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
    """The `logprobs` member."""
    return [_token(item) | {"top_logprobs": [_token(rival) for rival in item.top]} for item in logprobs]


def dump(members: dict[str, Any]) -> bytes:
    """The object as JSON on one line."""
    return json.dumps(members, ensure_ascii=False).encode("utf-8", "replace")


def _token(item: TokenLogprob) -> dict[str, Any]:
    text = item.text.decode("utf-8", "replace")
    return {"token": text, "logprob": max(item.logprob, LEAST_LOGPROB), "bytes": list(item.text)}
