# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages as JSON Schema: every role, and the calls in the history."""

from __future__ import annotations

from llama_orch.wire.chat_completions.calls import MAX_CALLS, MAX_ID
from llama_orch.wire.chat_completions.messages import MAX_PARTS, MESSAGE_WITHOUT_EFFECT, PART_WITHOUT_EFFECT
from llama_orch.wire.picture import URL
from llama_orch.wire.shapes import OBJECT, TEXT, Schema, answer_object, any_of, array, enum, request_object, text

_PART = any_of(
    request_object({"type": enum("text"), "text": TEXT}, {}, ignored=PART_WITHOUT_EFFECT),
    request_object({"type": enum("refusal"), "refusal": TEXT}, {}, ignored=PART_WITHOUT_EFFECT),
)
_IMAGE_URL = text(pattern=URL)
_IMAGE = request_object(
    {
        "type": enum("image_url"),
        "image_url": any_of(_IMAGE_URL, request_object({"url": _IMAGE_URL}, {}, ignored=("detail",))),
    },
    {},
    ignored=PART_WITHOUT_EFFECT,
)
_CONTENT = any_of(TEXT, array(_PART, least=1, most=MAX_PARTS))
_SHOWN = any_of(TEXT, array(any_of(_PART, _IMAGE), least=1, most=MAX_PARTS))
_ARGUMENTS: Schema = any_of(OBJECT, {"type": "string", "contentMediaType": "application/json"})
_CALL = request_object(
    {"function": request_object({"name": text(shortest=1)}, {"arguments": _ARGUMENTS})},
    {"id": text(longest=MAX_ID), "type": enum("function")},
    ignored=("index",),
)
_CALLS = array(_CALL, most=MAX_CALLS)
_OF_ANSWERS: dict[str, Schema] = {
    "name": TEXT,
    "refusal": TEXT,
    "reasoning_content": TEXT,
    "reasoning": TEXT,
    "tool_calls": _CALLS,
}


def _answer(required: dict[str, Schema]) -> Schema:
    optional = {"content": _CONTENT} | _OF_ANSWERS
    rest = {name: schema for name, schema in optional.items() if name not in required}
    return request_object({"role": enum("assistant")} | required, rest, ignored=MESSAGE_WITHOUT_EFFECT)


MESSAGE: Schema = any_of(
    request_object({"role": enum("user"), "content": _SHOWN}, {"name": TEXT}),
    request_object({"role": enum("system", "developer"), "content": _CONTENT}, {"name": TEXT}),
    request_object({"role": enum("tool"), "content": _CONTENT}, {"name": TEXT, "tool_call_id": TEXT}),
    _answer({"content": _CONTENT}),
    _answer({"refusal": TEXT}),
    _answer({"tool_calls": array(_CALL, least=1, most=MAX_CALLS)}),
)
TOOL_CALLS: Schema = array(
    answer_object({"id": TEXT, "type": enum("function"), "function": answer_object({"name": TEXT, "arguments": TEXT})}),
    least=1,
)
