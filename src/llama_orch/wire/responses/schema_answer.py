# SPDX-License-Identifier: GPL-3.0-or-later
"""The `response` object and what else the Responses API answers, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.shapes import (
    ANYTHING,
    COST,
    FLAG,
    NULL,
    OBJECT,
    TEXT,
    Schema,
    answer_object,
    any_of,
    array,
    enum,
)

COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
STATUS = enum("in_progress", "completed", "incomplete")


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    return any_of(schema, NULL)


_RIVAL = answer_object({"token": TEXT, "logprob": NUMBER, "bytes": array(COUNT)})
LOGPROBS = array(
    answer_object({"token": TEXT, "logprob": NUMBER, "bytes": array(COUNT), "top_logprobs": array(_RIVAL)})
)
TEXT_PART = answer_object(
    {"type": enum("output_text"), "annotations": array(ANYTHING), "logprobs": LOGPROBS, "text": TEXT}
)
THOUGHT_PART = answer_object({"type": enum("reasoning_text"), "text": TEXT})
SUMMARY_PART = answer_object({"type": enum("summary_text"), "text": TEXT})

_MESSAGE = answer_object(
    {
        "id": TEXT,
        "type": enum("message"),
        "status": STATUS,
        "role": enum("assistant"),
        "content": array(TEXT_PART),
    }
)
_REASONING = answer_object(
    {
        "id": TEXT,
        "type": enum("reasoning"),
        "status": STATUS,
        "summary": array(SUMMARY_PART),
        "content": array(THOUGHT_PART),
        "encrypted_content": TEXT,
    },
    optional=("encrypted_content",),
)
_CALLED: dict[str, Schema] = {"id": TEXT, "status": STATUS, "call_id": TEXT, "name": TEXT, "namespace": TEXT}
_CALL = answer_object({"type": enum("function_call"), "arguments": TEXT} | _CALLED, optional=("namespace",))
_CUSTOM = answer_object({"type": enum("custom_tool_call"), "input": TEXT} | _CALLED, optional=("namespace",))
OUTPUT_ITEM = any_of(_MESSAGE, _REASONING, _CALL, _CUSTOM)

_USAGE = answer_object(
    {
        "input_tokens": COUNT,
        "input_tokens_details": answer_object({"cached_tokens": COUNT, "cache_write_tokens": COUNT}),
        "output_tokens": COUNT,
        "output_tokens_details": answer_object({"reasoning_tokens": COUNT}),
        "total_tokens": COUNT,
        "cost": COST,
    },
    optional=("cost",),
)
_ECHO: dict[str, Schema] = {
    "background": FLAG,
    "frequency_penalty": NUMBER,
    "instructions": nullable(TEXT),
    "max_output_tokens": nullable(COUNT),
    "max_tool_calls": nullable(COUNT),
    "metadata": OBJECT,
    "parallel_tool_calls": FLAG,
    "presence_penalty": NUMBER,
    "previous_response_id": nullable(TEXT),
    "prompt_cache_key": nullable(TEXT),
    "reasoning": answer_object({"effort": nullable(TEXT), "summary": nullable(TEXT)}),
    "safety_identifier": nullable(TEXT),
    "service_tier": enum("default"),
    "store": FLAG,
    "temperature": NUMBER,
    "text": answer_object({"format": OBJECT, "verbosity": enum("medium")}),
    "tool_choice": any_of(TEXT, OBJECT),
    "tools": array(OBJECT),
    "top_logprobs": COUNT,
    "top_p": NUMBER,
    "truncation": enum("disabled"),
    "user": nullable(TEXT),
}
ANSWER = answer_object(
    {
        "id": TEXT,
        "object": enum("response"),
        "created_at": COUNT,
        "completed_at": nullable(COUNT),
        "status": enum("queued", "in_progress", "completed", "incomplete", "failed", "cancelled"),
        "model": TEXT,
        "error": nullable(answer_object({"code": TEXT, "message": TEXT})),
        "incomplete_details": nullable(answer_object({"reason": enum("max_output_tokens")})),
        "output": array(OUTPUT_ITEM),
        "usage": nullable(_USAGE),
    }
    | _ECHO
)
COUNT_ANSWER = answer_object({"object": enum("response.input_tokens"), "input_tokens": COUNT})
DELETED = answer_object({"id": TEXT, "object": enum("response"), "deleted": enum(True)})
_STORED_ITEM: Schema = {
    "type": "object",
    "properties": {"id": TEXT, "type": TEXT},
    "required": ["id", "type"],
}
ITEMS = answer_object(
    {
        "object": enum("list"),
        "first_id": nullable(TEXT),
        "last_id": nullable(TEXT),
        "has_more": FLAG,
        "data": array(_STORED_ITEM),
    }
)
ERROR = answer_object(
    {
        "error": answer_object(
            {"message": TEXT, "type": TEXT, "param": nullable(TEXT), "code": TEXT, "hint": nullable(TEXT)}, more=True
        )
    }
)
