# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /v1/chat/completions` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.chat_completions.message_schema import MESSAGE, TOOL_CALLS
from llama_orch.wire.chat_completions.messages import MAX_MESSAGES
from llama_orch.wire.chat_completions.request import MAX_CHOICES, WITHOUT_EFFECT
from llama_orch.wire.chat_completions.sampling_schema import FORMS, LOGPROBS, SAMPLING, USAGE
from llama_orch.wire.chat_completions.thinking import EFFORTS, RESERVED
from llama_orch.wire.chat_completions.tools import MAX_TOOLS, NAME_PATTERN
from llama_orch.wire.error_schema import ERROR
from llama_orch.wire.lora import ADAPTERS
from llama_orch.wire.model_name import MODEL
from llama_orch.wire.shapes import (
    FLAG,
    NULL,
    TEXT,
    Schema,
    answer_object,
    any_of,
    array,
    enum,
    integer,
    request_object,
    text,
)
from llama_orch.wire.streaming import MAX_TOKENS, STOP, STREAM_OPTIONS

_FUNCTION = request_object(
    {"name": text(pattern=NAME_PATTERN)},
    {
        "description": TEXT,
        "strict": FLAG,
        "parameters": {"type": "object", "properties": {"type": enum("object")}},
    },
)
_TOOL = request_object({"type": enum("function"), "function": _FUNCTION}, {}, ignored=("cache_control",))
_NAMED = request_object({"type": enum("function"), "function": request_object({"name": TEXT}, {})}, {})
_ALLOWED = request_object({"mode": enum("auto", "required"), "tools": array(_NAMED, least=1, most=MAX_TOOLS)}, {})
_CHOICE = any_of(
    enum("none", "auto", "required"),
    _NAMED,
    request_object({"type": enum("allowed_tools"), "allowed_tools": _ALLOWED}, {}),
)
_TEMPLATE: Schema = {"type": "object", "properties": dict.fromkeys(RESERVED, False)}

STREAM_NEEDED: Schema = {
    "if": {"required": ["stream_options"], "properties": {"stream_options": {"type": "object"}}},
    "then": {"required": ["stream"], "properties": {"stream": enum(True)}},
}
"""Options of a stream are refused where there is none."""
_LOGPROBS_NEEDED: Schema = {
    "if": {"required": ["top_logprobs"], "properties": {"top_logprobs": {"type": "integer", "minimum": 1}}},
    "then": {"required": ["logprobs"], "properties": {"logprobs": enum(True)}},
}

REQUEST: Schema = request_object(
    {"messages": array(MESSAGE, least=1, most=MAX_MESSAGES)},
    {
        "model": MODEL,
        "stream": FLAG,
        "stream_options": STREAM_OPTIONS,
        "stop": STOP,
        "n": integer(1, MAX_CHOICES),
        "max_tokens": integer(1, MAX_TOKENS),
        "max_completion_tokens": integer(1, MAX_TOKENS),
        "cache_prompt": FLAG,
        "lora": ADAPTERS,
        "tools": array(_TOOL, most=MAX_TOOLS),
        "tool_choice": _CHOICE,
        "parallel_tool_calls": FLAG,
        "reasoning_effort": enum(*EFFORTS),
        "chat_template_kwargs": _TEMPLATE,
        "response_format": FORMS,
        "logprobs": FLAG,
        "top_logprobs": integer(0, 20),
        "modalities": enum(["text"]),
        "store": enum(False),
        "functions": array({}, most=0),
        "function_call": enum("none", "auto"),
    }
    | SAMPLING,
    ignored=WITHOUT_EFFECT,
) | {"allOf": [STREAM_NEEDED, _LOGPROBS_NEEDED]}

_FINISH = enum("stop", "length", "tool_calls")
_MESSAGE = answer_object(
    {
        "role": enum("assistant"),
        "content": any_of(TEXT, NULL),
        "refusal": NULL,
        "reasoning_content": TEXT,
        "tool_calls": TOOL_CALLS,
    },
    optional=("reasoning_content", "tool_calls"),
)
_INDEX: Schema = {"type": "integer", "minimum": 0}
_HEAD: dict[str, Schema] = {"id": TEXT, "created": {"type": "integer"}, "model": TEXT}
ANSWER: Schema = answer_object(
    _HEAD
    | {
        "object": enum("chat.completion"),
        "choices": array(
            answer_object({"index": _INDEX, "message": _MESSAGE, "logprobs": LOGPROBS, "finish_reason": _FINISH}),
            least=1,
        ),
        "usage": USAGE,
    }
)
COUNT_ANSWER: Schema = answer_object({"input_tokens": {"type": "integer", "minimum": 0}})
"""What `POST /v1/chat/completions/input_tokens` gives for the same body."""
_CALL = answer_object(
    {
        "index": _INDEX,
        "id": TEXT,
        "type": enum("function"),
        "function": answer_object({"name": TEXT, "arguments": TEXT}, optional=("name",)),
    },
    optional=("id", "type"),
)
_DELTA = answer_object(
    {"role": enum("assistant"), "content": TEXT, "reasoning_content": TEXT, "tool_calls": array(_CALL, least=1)},
    optional=("role", "content", "reasoning_content", "tool_calls"),
)
STREAM: Schema = answer_object(
    _HEAD
    | {
        "object": enum("chat.completion.chunk"),
        "choices": array(
            answer_object(
                {"index": _INDEX, "delta": _DELTA, "logprobs": LOGPROBS, "finish_reason": any_of(_FINISH, NULL)}
            )
        ),
        "usage": any_of(USAGE, NULL),
    },
    optional=("usage",),
)
"""The data of one event; the last one is the word `[DONE]`."""

__all__ = ["ANSWER", "COUNT_ANSWER", "ERROR", "REQUEST", "STREAM"]
