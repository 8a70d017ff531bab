# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation: every role, content as a string or as parts, calls and their results."""

from __future__ import annotations

from llama_orch.wire.chat_completions.calls import read_calls
from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Chat, Turn
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.picture import Part, image_url, joined, only_text
from llama_orch_utils.errors import BadRequest

MAX_MESSAGES = 4096
MAX_PARTS = 4096

# OpenAI renamed `system` to `developer`; the chat templates in GGUF files know only `system`.
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
MESSAGE_WITHOUT_EFFECT = ("annotations",)
"""What clients send back of an answer of OpenAI's, and no chat template prints."""
PART_WITHOUT_EFFECT = ("cache_control", "prompt_cache_breakpoint")


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
    last = turns.pop()
    if not turns or turns[-1]["role"] == "assistant":
        raise BadRequest("an answer can only be continued after a message that it answers", param=where)
    for name in ("tool_calls", "reasoning_content"):
        if name in last:
            raise unsupported(f"an answer that goes on after its {name}", pointer(where, name), "add what answers it")
    prefill = last["content"]
    assert isinstance(prefill, str)
    return Chat(tuple(turns), prefill)


def _turn(item: Json, where: str) -> Turn:
    if not isinstance(item, dict):
        raise BadRequest(f"a message must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    given = fields.text("role") or ""
    role = ROLES.get(given)
    if given == "function":
        raise unsupported("the role function", fields.at("role"), "send the result with the role tool")
    if role is None:
        raise BadRequest(f"role must be one of {', '.join(ROLES)}", param=fields.at("role"))
    turn: Turn = {"role": role}
    if role == "assistant":
        _read_answer(fields, turn)
    elif role == "tool":
        _pass_on(fields, turn, "tool_call_id")
    if "content" not in turn:
        content = _content(fields)
        turn["content"] = content if role == "user" else only_text(content, fields.at("content"), f"the {given}")
    _pass_on(fields, turn, "name")
    fields.refuse_rest()
    return turn


def _read_answer(fields: Fields, turn: Turn) -> None:
    """What only an answer has. Where it was nothing but calls or a refusal, its content may be missing."""
    calls = read_calls(fields)
    refusal = fields.text("refusal")
    thought = fields.text("reasoning_content") or fields.text("reasoning")
    content = fields.members().get("content")
    if content is None and (calls or refusal is not None):
        turn["content"] = refusal or ""
    if thought:
        turn["reasoning_content"] = thought
    if calls:
        turn["tool_calls"] = calls
    fields.ignore(("reasoning", *MESSAGE_WITHOUT_EFFECT))


def _pass_on(fields: Fields, turn: Turn, name: str) -> None:
    value = fields.text(name)
    if value is not None:
        turn[name] = value


def _content(fields: Fields) -> Json:
    value = fields.take("content")
    if isinstance(value, str):
        return value
    where = fields.at("content")
    if not isinstance(value, list) or not 0 < len(value) <= MAX_PARTS:
        raise BadRequest(
            f"content must be a string or a list of 1 to {MAX_PARTS} parts, not {kind(value)}", param=where
        )
    return joined([_part(part, pointer(where, index)) for index, part in enumerate(value)])


def _part(part: Json, where: str) -> str | Part:
    if not isinstance(part, dict):
        raise BadRequest(f"a content part must be an object, not {kind(part)}", param=where)
    fields = Fields(part, where)
    sort = fields.text("type")
    if sort is None:
        raise BadRequest("a content part must have a type", param=fields.at("type"))
    if sort == "image_url":
        image = image_url(fields)
        fields.ignore(PART_WITHOUT_EFFECT)
        fields.refuse_rest()
        return image
    if sort not in ("text", "refusal"):
        raise unsupported(sort[:64], where, "only texts and images are served")
    text = fields.text(sort)
    if text is None:
        raise BadRequest(f"a part of type {sort} must have a field {sort}", param=fields.at(sort))
    fields.ignore(PART_WITHOUT_EFFECT)
    fields.refuse_rest()
    return text
