# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation: every role, content as a string or as text parts."""

from __future__ import annotations

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Chat, Turn
from llama_orch.wire.json_body import Json, pointer
from llama_orch_utils.errors import BadRequest

MAX_MESSAGES = 4096
MAX_PARTS = 4096

# OpenAI renamed `system` to `developer`; the chat templates in GGUF files know only `system`.
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_PASSED_ON = ("name", "tool_call_id", "reasoning_content")


def read_chat(fields: Fields) -> Chat:
    """The field `messages`. A last message of the assistant's is the beginning of the answer, as with llama.cpp."""
    items = fields.array("messages", most=MAX_MESSAGES)
    if not items:
        raise BadRequest(
            "messages must hold at least one message",
            param=fields.at("messages"),
            hint='send {"messages": [{"role": "user", "content": "…"}]}',
        )
    where = fields.at("messages")
    turns = [_turn(item, pointer(where, index)) for index, item in enumerate(items)]
    if turns[-1]["role"] != "assistant":
        return Chat(tuple(turns))
    return _with_prefill(turns, pointer(where, len(turns) - 1))


def _with_prefill(turns: list[Turn], where: str) -> Chat:
    prefill = turns.pop()
    if not turns or turns[-1]["role"] == "assistant":
        raise BadRequest("an answer can only be continued after a message that it answers", param=where)
    return Chat(tuple(turns), prefill["content"])


def _turn(item: Json, where: str) -> Turn:
    if not isinstance(item, dict):
        raise BadRequest(f"a message must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    role = _ROLES.get(fields.text("role") or "")
    if role is None:
        raise BadRequest(f"role must be one of {', '.join(_ROLES)}", param=fields.at("role"))
    turn: Turn = {"role": role, "content": _content(fields)}
    for name in _PASSED_ON:
        value = fields.text(name)
        if value is not None:
            turn[name] = value
    if not fields.array("tool_calls", most=MAX_PARTS):
        fields.refuse_rest()
        return turn
    raise unsupported("tool_calls", fields.at("tool_calls"))


def _content(fields: Fields) -> str:
    value = fields.take("content")
    if isinstance(value, str):
        return value
    where = fields.at("content")
    if not isinstance(value, list) or not 0 < len(value) <= MAX_PARTS:
        if value is None and fields.take("tool_calls"):
            raise unsupported("tool_calls", fields.at("tool_calls"))
        raise BadRequest(
            f"content must be a string or a list of 1 to {MAX_PARTS} text parts, not {kind(value)}", param=where
        )
    return "".join(_part(part, pointer(where, index)) for index, part in enumerate(value))


def _part(part: Json, where: str) -> str:
    if not isinstance(part, dict):
        raise BadRequest(f"a content part must be an object, not {kind(part)}", param=where)
    fields = Fields(part, where)
    sort = fields.text("type")
    if sort is None:
        raise BadRequest("a content part must have a type", param=fields.at("type"))
    if sort not in ("text", "refusal"):
        raise unsupported(sort[:64], where, "only text parts are served")
    text = fields.text(sort)
    if text is None:
        raise BadRequest(f"a part of type {sort} must have a field {sort}", param=fields.at(sort))
    fields.ignore(("cache_control",))
    fields.refuse_rest()
    return text
