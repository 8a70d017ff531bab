# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /v1/messages` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.messages.blocks import MAX_BLOCKS, WITHOUT_EFFECT
from llama_orch.wire.messages.conversation import EFFORTS, MAX_MESSAGES
from llama_orch.wire.messages.failure import TYPES
from llama_orch.wire.messages.request import MAX_COUNT, MAX_STOP_LENGTH, MAX_STOPS, TIERS
from llama_orch.wire.messages.request import WITHOUT_EFFECT as BOOKKEEPING
from llama_orch.wire.messages.thinking import CLEAR_THINKING, DISPLAYS, LEAST_BUDGET, MAX_EDITS
from llama_orch.wire.messages.tools import MAX_EXAMPLES, MAX_TOOLS, NAME, TOOL_WITHOUT_EFFECT
from llama_orch.wire.model_name import MODEL
from llama_orch.wire.picture import URL
from llama_orch.wire.shapes import (
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
    integer,
    number,
    request_object,
    text,
)


def _block(sort: str, required: dict[str, Schema], optional: dict[str, Schema], *ignored: str) -> Schema:
    return request_object({"type": enum(sort)} | required, optional, ignored=(*WITHOUT_EFFECT, *ignored))


def _sort(sort: str, optional: dict[str, Schema] | None = None, *ignored: str) -> Schema:
    return request_object({"type": enum(sort)}, optional or {}, ignored=ignored)


_TEXT = _block("text", {"text": TEXT}, {})
_BASE64 = request_object({"type": enum("base64"), "media_type": text(pattern="^image/"), "data": text(shortest=1)}, {})
_URL = request_object({"type": enum("url"), "url": text(pattern=URL)}, {})
_IMAGE = _block("image", {"source": any_of(_BASE64, _URL)}, {})
_REFERENCE = _block("tool_reference", {"tool_name": TEXT}, {})
_CALL = _block("tool_use", {"id": TEXT, "name": TEXT, "input": OBJECT}, {}, "caller", "toolset_name")
_RESULTS = array(any_of(_TEXT, _REFERENCE), most=MAX_BLOCKS)
_RESULT = _block(
    "tool_result", {"tool_use_id": TEXT}, {"content": any_of(TEXT, _RESULTS), "is_error": FLAG}, "toolset_name"
)
_THOUGHT = _block("thinking", {"thinking": TEXT}, {"signature": TEXT})
_SECRET = _block("redacted_thinking", {"data": TEXT}, {})
_TEXTS = any_of(TEXT, array(_TEXT, most=MAX_BLOCKS))
_EFFORT = enum(*EFFORTS)


def _message(role: str, *blocks: Schema) -> Schema:
    content = any_of(TEXT, array(any_of(*blocks), most=MAX_BLOCKS))
    return request_object({"role": enum(role), "content": content}, {})


_SYSTEM_MESSAGE = request_object(
    {"role": enum("system")},
    {
        "content": _TEXTS,
        "output_config": request_object({}, {"effort": _EFFORT}),
        "clear_at": enum("never", "next_user_message"),
    },
)
_MESSAGES = array(
    any_of(
        _message("user", _TEXT, _IMAGE, _RESULT),
        _message("assistant", _TEXT, _THOUGHT, _SECRET, _CALL),
        _SYSTEM_MESSAGE,
    ),
    least=1,
    most=MAX_MESSAGES,
)
_INPUT_SCHEMA: Schema = {"type": "object", "properties": {"type": enum("object")}}
_TOOL = request_object(
    {"name": text(pattern=NAME), "input_schema": _INPUT_SCHEMA},
    {
        "type": enum("custom"),
        "description": TEXT,
        "input_examples": array(OBJECT, most=MAX_EXAMPLES),
        "allowed_callers": {"type": "array", "contains": enum("direct"), "maxItems": MAX_EXAMPLES},
        "strict": FLAG,
        "defer_loading": FLAG,
    },
    ignored=TOOL_WITHOUT_EFFECT,
)
_SINGLE = {"disable_parallel_tool_use": FLAG}
_TOOL_CHOICE = any_of(
    _sort("auto", _SINGLE),
    _sort("any", _SINGLE),
    _sort("none"),
    request_object({"type": enum("tool"), "name": TEXT}, _SINGLE),
)
_DISPLAY = {"display": enum(*DISPLAYS)}
_THINKING = any_of(
    _sort("disabled"),
    _sort("adaptive", _DISPLAY, "block_binding"),
    request_object(
        {"type": enum("enabled"), "budget_tokens": integer(LEAST_BUDGET, MAX_COUNT)},
        _DISPLAY,
        ignored=("block_binding",),
    ),
)
_FORMAT = request_object({"type": enum("json_schema"), "schema": OBJECT}, {})
_KEEP = any_of(
    enum("all"),
    _sort("all"),
    request_object({"type": enum("thinking_turns"), "value": integer(1, MAX_COUNT)}, {}),
)
_EDITS = request_object({}, {"edits": array(_sort(CLEAR_THINKING, {"keep": _KEEP}), most=MAX_EDITS)})
_NOTHING: Schema = {"type": "array", "maxItems": 0}

_OPTIONAL: dict[str, Schema] = {
    "system": _TEXTS,
    "stream": FLAG,
    "stop_sequences": array(text(shortest=1, longest=MAX_STOP_LENGTH), most=MAX_STOPS),
    "temperature": number(0, 1),
    "top_p": number(0, 1),
    "top_k": integer(0, MAX_COUNT),
    "tools": array(_TOOL, most=MAX_TOOLS),
    "tool_choice": _TOOL_CHOICE,
    "thinking": _THINKING,
    "output_config": request_object({}, {"effort": _EFFORT, "format": _FORMAT}),
    "output_format": _FORMAT,
    "context_management": _EDITS,
    "service_tier": enum(*TIERS),
    "metadata": OBJECT,
    "mcp_servers": _NOTHING,
}
_MAX_TOKENS = integer(1, MAX_COUNT)

REQUEST = request_object(
    {"model": MODEL, "messages": _MESSAGES, "max_tokens": _MAX_TOKENS}, _OPTIONAL, ignored=BOOKKEEPING
)
COUNT_REQUEST = request_object(
    {"model": MODEL, "messages": _MESSAGES}, _OPTIONAL | {"max_tokens": _MAX_TOKENS}, ignored=BOOKKEEPING
)
COUNT_ANSWER = answer_object({"input_tokens": integer(0, MAX_COUNT)})

_TOKENS: Schema = {"type": "integer", "minimum": 0}
_USAGE = answer_object(
    dict.fromkeys(("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens"), _TOKENS)
    | {"cost": COST},
    optional=("cost",),
)
_STOP_REASON = enum("end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded")
_TEXT_OR_NULL = any_of(TEXT, NULL)
_SAID = any_of(
    answer_object({"type": enum("text"), "text": TEXT}),
    answer_object({"type": enum("thinking"), "thinking": TEXT, "signature": TEXT}),
    answer_object({"type": enum("tool_use"), "id": TEXT, "name": TEXT, "input": OBJECT}),
)


def _answer(stop: Schema) -> Schema:
    return answer_object(
        {
            "id": TEXT,
            "type": enum("message"),
            "role": enum("assistant"),
            "model": TEXT,
            "content": array(_SAID),
            "stop_reason": stop,
            "stop_sequence": _TEXT_OR_NULL,
            "usage": _USAGE,
        }
    )


ANSWER = _answer(_STOP_REASON)
ERROR = answer_object(
    {
        "type": enum("error"),
        "error": answer_object(
            {
                "type": enum("invalid_request_error", "api_error", *TYPES.values()),
                "message": TEXT,
                "code": TEXT,
                "hint": _TEXT_OR_NULL,
                "param": _TEXT_OR_NULL,
            },
            more=True,
        ),
        "request_id": _TEXT_OR_NULL,
    }
)
_INDEX: Schema = {"type": "integer", "minimum": 0}
_DELTA = any_of(
    answer_object({"type": enum("text_delta"), "text": TEXT}),
    answer_object({"type": enum("thinking_delta"), "thinking": TEXT}),
    answer_object({"type": enum("signature_delta"), "signature": TEXT}),
    answer_object({"type": enum("input_json_delta"), "partial_json": TEXT}),
)
STREAM = any_of(
    answer_object({"type": enum("message_start"), "message": _answer(NULL)}),
    answer_object({"type": enum("ping")}),
    answer_object({"type": enum("content_block_start"), "index": _INDEX, "content_block": _SAID}),
    answer_object({"type": enum("content_block_delta"), "index": _INDEX, "delta": _DELTA}),
    answer_object({"type": enum("content_block_stop"), "index": _INDEX}),
    answer_object(
        {
            "type": enum("message_delta"),
            "delta": answer_object({"stop_reason": _STOP_REASON, "stop_sequence": _TEXT_OR_NULL}),
            "usage": _USAGE,
        }
    ),
    answer_object({"type": enum("message_stop")}),
    ERROR,
)
"""The data of each event."""
