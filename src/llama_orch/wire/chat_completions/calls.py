# SPDX-License-Identifier: GPL-3.0-or-later
"""Tool calls in the history: what an earlier answer called, as chat templates print it."""

from __future__ import annotations

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.json_body import parse as parse_json
from llama_orch_utils.errors import BadRequest

MAX_CALLS = 1024
MAX_ID = 256


def read_calls(fields: Fields) -> list[Json]:
    """The fields `tool_calls` and (legacy, refused by name) `function_call` of an assistant's message."""
    if fields.take("function_call") is not None:
        raise unsupported("function_call", fields.at("function_call"), "send tool_calls instead")
    if fields.take("audio") is not None:
        raise unsupported("audio", fields.at("audio"), "send the transcript as content")
    where = fields.at("tool_calls")
    return [
        _call(item, pointer(where, index))
        for index, item in enumerate(fields.array("tool_calls", most=MAX_CALLS) or [])
    ]


def _call(item: Json, where: str) -> Json:
    if not isinstance(item, dict):
        raise BadRequest(f"a tool call must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    if (sort := fields.text("type")) not in (None, "function"):
        raise unsupported(f"the tool call {(sort or '')[:64]}", where, "only calls of type function are served")
    identity, function = fields.text("id", longest=MAX_ID), fields.object("function")
    if function is None:
        raise BadRequest("a tool call needs the field function", param=fields.at("function"))
    fields.ignore(("index",))
    fields.refuse_rest()
    name = function.text("name")
    if not name:
        raise BadRequest("a tool call needs the name of its function", param=function.at("name"))
    arguments = _arguments(function)
    function.refuse_rest()
    call: dict[str, Json] = {"type": "function", "function": {"name": name, "arguments": arguments}}
    if identity is not None:
        call["id"] = identity
    return call


def _arguments(function: Fields) -> dict[str, Json]:
    """An object, or JSON text that holds one; nothing at all is what some clients send for no arguments."""
    value, where = function.take("arguments"), function.at("arguments")
    if isinstance(value, str):
        try:
            value = parse_json(value.encode()) if value.strip() else None
        except BadRequest as error:
            message = error.message.replace("the body", "the text of arguments")
            raise BadRequest(f"arguments must be a JSON object as text: {message}", param=where) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"arguments must be an object, or text that holds one, not {kind(value)}", param=where)
    return value
