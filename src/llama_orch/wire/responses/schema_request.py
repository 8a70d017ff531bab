# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /v1/responses` takes, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.model_name import MODEL
from llama_orch.wire.picture import URL
from llama_orch.wire.responses import request
from llama_orch.wire.responses.choice import MAX_ALLOWED, WORDS
from llama_orch.wire.responses.content import MAX_PARTS, TEXT_PARTS
from llama_orch.wire.responses.content import WITHOUT_EFFECT as PART_WITHOUT_EFFECT
from llama_orch.wire.responses.items import BOOKKEEPING, MAX_ITEMS, ROLES
from llama_orch.wire.responses.items import MAX_NAME as MAX_ITEM_NAME
from llama_orch.wire.responses.sampling import MAX_COUNT, MAX_TOP_LOGPROBS
from llama_orch.wire.responses.seal import PATTERN
from llama_orch.wire.responses.text import FORMATS, MAX_FORMAT_NAME
from llama_orch.wire.responses.tools import MAX_DESCRIPTION, MAX_TOOLS, NAME_PATTERN
from llama_orch.wire.responses.tools import WITHOUT_EFFECT as TOOL_WITHOUT_EFFECT
from llama_orch.wire.shapes import (
    FLAG,
    NULL,
    OBJECT,
    TEXT,
    Schema,
    any_of,
    array,
    enum,
    integer,
    number,
    request_object,
    text,
)

_LEAST_SEED, _GREATEST_SEED = -(2**63), 2**64 - 1


def _sort(sort: str, required: dict[str, Schema] | None = None, optional: dict[str, Schema] | None = None) -> Schema:
    return request_object({"type": enum(sort)} | (required or {}), optional or {})


def _item(sort: str, required: dict[str, Schema], optional: dict[str, Schema], *ignored: str) -> Schema:
    return request_object({"type": enum(sort)} | required, optional, ignored=(*BOOKKEEPING, *ignored))


_TEXTS = [
    request_object({"type": enum(sort), name: TEXT}, {}, ignored=PART_WITHOUT_EFFECT)
    for sort, name in TEXT_PARTS.items()
]
_PARTS = array(any_of(*_TEXTS), most=MAX_PARTS)
_CONTENT = any_of(TEXT, _PARTS)
_IMAGE = request_object(
    {"type": enum("input_image"), "image_url": text(pattern=URL)}, {}, ignored=("detail", *PART_WITHOUT_EFFECT)
)
_SHOWN = any_of(TEXT, array(any_of(*_TEXTS, _IMAGE), most=MAX_PARTS))
_NAME = text(longest=MAX_ITEM_NAME)
_OTHERS = [role for role in ROLES if role != "user"]
_MESSAGE = any_of(
    request_object({"role": enum("user"), "content": _SHOWN}, {"type": enum("message")}, ignored=BOOKKEEPING),
    request_object({"role": enum(*_OTHERS), "content": _CONTENT}, {"type": enum("message")}, ignored=BOOKKEEPING),
)
_NAMESPACE: dict[str, Schema] = {"namespace": _NAME}
_OUTPUT: dict[str, Schema] = {"call_id": _NAME, "output": _CONTENT}


def _thoughts(sort: str, *, shortest: int = 0) -> Schema:
    part = request_object({"type": enum(sort, "text"), "text": text(shortest=shortest)}, {})
    return array(part, least=min(shortest, 1), most=MAX_ITEMS)


_SUMMARY, _THOUGHTS = _thoughts("summary_text"), _thoughts("reasoning_text")
_REASONING = any_of(
    _item(
        "reasoning",
        {},
        {"summary": _SUMMARY, "content": _THOUGHTS, "encrypted_content": any_of(enum(""), text(pattern=PATTERN))},
    ),
    _item(
        "reasoning",
        {"summary": _thoughts("summary_text", shortest=1)},
        {"content": _THOUGHTS, "encrypted_content": TEXT},
    ),
    _item(
        "reasoning",
        {"content": _thoughts("reasoning_text", shortest=1)},
        {"summary": _SUMMARY, "encrypted_content": TEXT},
    ),
)
_ITEM = any_of(
    _MESSAGE,
    _item("function_call", {"call_id": _NAME, "name": _NAME, "arguments": TEXT}, _NAMESPACE),
    _item("custom_tool_call", {"call_id": _NAME, "name": _NAME, "input": TEXT}, _NAMESPACE),
    _item("function_call_output", _OUTPUT, {}, "name", "namespace"),
    _item("custom_tool_call_output", _OUTPUT, {}, "name", "namespace"),
    _REASONING,
    {
        "type": "object",
        "properties": {"type": any_of(enum("item_reference"), NULL), "id": TEXT},
        "required": ["id"],
        "not": {"required": ["role"]},
        "description": "an item of a stored response, by its id",
    },
)

_TOOL_NAME = text(pattern=NAME_PATTERN)
_ABOUT: dict[str, Schema] = {"description": text(longest=MAX_DESCRIPTION)}
_FUNCTION = request_object(
    {"type": enum("function"), "name": _TOOL_NAME},
    _ABOUT | {"parameters": OBJECT, "strict": FLAG},
    ignored=TOOL_WITHOUT_EFFECT,
)
_CUSTOM = request_object(
    {"type": enum("custom"), "name": _TOOL_NAME}, _ABOUT | {"format": _sort("text")}, ignored=TOOL_WITHOUT_EFFECT
)
_GROUP = _sort("namespace", {"name": _TOOL_NAME}, _ABOUT | {"tools": array(any_of(_FUNCTION, _CUSTOM), most=MAX_TOOLS)})
_NO_SEARCH: Schema = {
    "type": "object",
    "properties": {"type": enum("web_search"), "external_web_access": enum(False)},
    "required": ["type", "external_web_access"],
    "description": "a search without the web: taken, and the model is not told of it",
}
_NAMED = any_of(*(_sort(sort, {"name": TEXT}, {"namespace": TEXT}) for sort in ("function", "custom")))
_TOOL_CHOICE = any_of(
    enum(*WORDS),
    _NAMED,
    _sort("allowed_tools", {"mode": enum("auto", "required"), "tools": array(_NAMED, least=1, most=MAX_ALLOWED)}),
)
_FORMAT = any_of(
    *(_sort(sort) for sort in FORMATS if sort != "json_schema"),
    _sort(
        "json_schema",
        {"name": text(shortest=1, longest=MAX_FORMAT_NAME), "schema": OBJECT},
        {"description": TEXT, "strict": FLAG},
    ),
)
_METADATA: Schema = {
    "type": "object",
    "maxProperties": request.MAX_METADATA,
    "propertyNames": {"maxLength": request.MAX_METADATA_KEY},
    "additionalProperties": text(longest=request.MAX_METADATA_VALUE),
}
_ONE_LINE = text(longest=request.MAX_NAME)
_TOKENS = integer(1, request.MAX_TOKENS)
_SUMMARIES = enum(*request.SUMMARIES)

_OPTIONAL: dict[str, Schema] = {
    "model": MODEL,
    "instructions": TEXT,
    "previous_response_id": _ONE_LINE,
    "background": FLAG,
    "store": FLAG,
    "stream": FLAG,
    "stream_options": request_object({}, {"include_obfuscation": FLAG}),
    "max_output_tokens": _TOKENS,
    "max_tool_calls": _TOKENS,
    "tools": array(any_of(_FUNCTION, _CUSTOM, _GROUP, _NO_SEARCH), most=MAX_TOOLS),
    "tool_choice": _TOOL_CHOICE,
    "parallel_tool_calls": FLAG,
    "text": request_object({}, {"format": _FORMAT, "verbosity": enum("medium")}),
    "reasoning": request_object(
        {},
        {
            "effort": enum(*request.EFFORTS),
            "summary": _SUMMARIES,
            "generate_summary": _SUMMARIES,
            "mode": enum("standard"),
            "context": enum("auto"),
        },
    ),
    "include": array(enum(*request.INCLUDABLE), most=request.MAX_INCLUDED),
    "truncation": enum("disabled"),
    "metadata": _METADATA,
    "prompt_cache_key": _ONE_LINE,
    "safety_identifier": _ONE_LINE,
    "user": _ONE_LINE,
    "temperature": number(0, 100),
    "top_p": number(0, 1),
    "top_logprobs": integer(0, MAX_TOP_LOGPROBS),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "top_k": integer(0, MAX_COUNT),
    "min_p": number(0, 1),
    "typical_p": number(0, 1),
    "repeat_penalty": number(0.01, 100),
    "repeat_last_n": integer(-1, MAX_COUNT),
    "seed": integer(_LEAST_SEED, _GREATEST_SEED),
}
REQUEST = request_object(
    {"input": any_of(TEXT, array(_ITEM, least=1, most=MAX_ITEMS))}, _OPTIONAL, ignored=request.WITHOUT_EFFECT
)
COUNT_REQUEST = REQUEST
