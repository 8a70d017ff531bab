# SPDX-License-Identifier: GPL-3.0-or-later
"""The data of each event of a streamed response, as JSON Schema; after the last one comes `[DONE]`."""

from __future__ import annotations

from llama_orch.wire.responses.schema_answer import (
    ANSWER,
    COUNT,
    LOGPROBS,
    OUTPUT_ITEM,
    SUMMARY_PART,
    TEXT_PART,
    THOUGHT_PART,
    nullable,
)
from llama_orch.wire.shapes import OBJECT, TEXT, Schema, answer_object, any_of, enum

_ITEM: dict[str, Schema] = {"item_id": TEXT, "output_index": COUNT}
_PART: dict[str, Schema] = _ITEM | {"content_index": COUNT}
_SUMMARY: dict[str, Schema] = _ITEM | {"summary_index": COUNT}


def _event(name: str, members: dict[str, Schema]) -> Schema:
    kind = name if name == "error" else f"response.{name}"
    return answer_object({"type": enum(kind), "sequence_number": COUNT} | members)


STREAM = any_of(
    *(_event(name, {"response": ANSWER}) for name in ("created", "in_progress", "completed", "incomplete", "failed")),
    *(_event(f"output_item.{name}", {"output_index": COUNT, "item": OUTPUT_ITEM}) for name in ("added", "done")),
    *(_event(f"content_part.{name}", _PART | {"part": any_of(TEXT_PART, THOUGHT_PART)}) for name in ("added", "done")),
    _event("output_text.delta", _PART | {"delta": TEXT, "logprobs": LOGPROBS}),
    _event("output_text.done", _PART | {"text": TEXT, "logprobs": LOGPROBS}),
    _event("reasoning_text.delta", _PART | {"delta": TEXT}),
    _event("reasoning_text.done", _PART | {"text": TEXT}),
    *(_event(f"reasoning_summary_part.{name}", _SUMMARY | {"part": SUMMARY_PART}) for name in ("added", "done")),
    _event("reasoning_summary_text.delta", _SUMMARY | {"delta": TEXT}),
    _event("reasoning_summary_text.done", _SUMMARY | {"text": TEXT}),
    _event("function_call_arguments.delta", _ITEM | {"delta": TEXT}),
    _event("function_call_arguments.done", _ITEM | {"name": TEXT, "arguments": TEXT}),
    _event("custom_tool_call_input.delta", _ITEM | {"delta": TEXT}),
    _event("custom_tool_call_input.done", _ITEM | {"input": TEXT}),
    _event("error", {"code": TEXT, "message": TEXT, "param": nullable(TEXT), "error": OBJECT}),
)
