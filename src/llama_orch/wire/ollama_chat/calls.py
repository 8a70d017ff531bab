# SPDX-License-Identifier: GPL-3.0-or-later
"""Tool calls as Ollama has them: whole, with their arguments as an object."""

from __future__ import annotations

import json
from typing import Any

from llama_orch.wire.generation import FinishReason, ToolCall
from llama_orch_utils.errors import InvalidAnswer


def call_object(index: int, call: ToolCall, reason: FinishReason | None = None) -> dict[str, Any] | None:
    """The call; None where `max_tokens` cut it: nobody may run a half of it.

    Raises InvalidAnswer for arguments that are no JSON object.
    """
    try:
        values: Any = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        values = None
    if isinstance(values, dict):
        return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": values}}
    if reason == "length":
        return None
    raise InvalidAnswer(f"the arguments of the call of {call.name} are no JSON object", text=call.arguments)
