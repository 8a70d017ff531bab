# SPDX-License-Identifier: GPL-3.0-or-later
"""`input` and `instructions`: items of every served type, as the turns that chat templates know."""

from __future__ import annotations

import json
from collections.abc import Callable

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Chat
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.picture import only_text
from llama_orch.wire.responses.content import MAX_TEXT, read_content
from llama_orch.wire.responses.conversation import Conversation
from llama_orch.wire.responses.names import flat_name
from llama_orch.wire.responses.seal import unseal
from llama_orch.wire.responses.tools import Toolbox
from llama_orch_utils.errors import BadRequest

MAX_ITEMS = 4096
MAX_NAME = 1024
ROLES = ("system", "developer", "user", "assistant")

# An item that an answer gave comes back with these; they say nothing to the model.
BOOKKEEPING = ("id", "status", "phase", "caller", "created_by", "async", "internal_chat_message_metadata_passthrough")


def read_input(fields: Fields, toolbox: Toolbox, expanded: int) -> Chat:
    """The conversation. The first `expanded` items are the gateway's, and count as /previous_response_id in errors."""
    conversation = Conversation()
    conversation.system(fields.text("instructions", longest=MAX_TEXT) or "")
    value = fields.take("input")
    where = fields.at("input")
    if isinstance(value, str):
        conversation.user(value)
        return conversation.chat()
    if not isinstance(value, list) or not value:
        raise BadRequest(
            f"input must be a string or a list of items, not {kind(value) if value != [] else 'an empty list'}",
            param=where,
            hint='send {"input": "…"}',
        )
    if len(value) > MAX_ITEMS:
        raise BadRequest(f"input has {len(value)} items; {MAX_ITEMS} are the most", param=where)
    for index, item in enumerate(value):
        at = pointer(where, index - expanded) if index >= expanded else "/previous_response_id"
        _read(conversation, item, at, toolbox)
    return conversation.chat()


def _read(conversation: Conversation, item: Json, where: str, toolbox: Toolbox) -> None:
    if not isinstance(item, dict):
        raise BadRequest(f"an item must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    sort = fields.text("type")
    if sort is None:
        sort = "message" if "role" in item else "item_reference"
    reader = _READERS.get(sort)
    if reader is None:
        hint = "an item is only found where it is stored: ask `orch serve`" if sort == "item_reference" else None
        raise unsupported(sort[:64], where, hint)
    reader(conversation, fields, toolbox)
    fields.ignore(BOOKKEEPING)
    fields.refuse_rest()


def _message(conversation: Conversation, fields: Fields, _: Toolbox) -> None:
    role = fields.text("role")
    if role not in ROLES:
        raise BadRequest(f"role must be one of {', '.join(ROLES)}", param=fields.at("role"))
    content = read_content(fields, "content")
    if role == "user":
        conversation.user(content)
        return
    text = only_text(content, fields.at("content"), f"the {role}")
    if role == "assistant":
        conversation.said(text)
    else:
        conversation.system(text)


def _call(conversation: Conversation, fields: Fields, toolbox: Toolbox) -> None:
    name = _called(fields, toolbox)
    conversation.called(_needed(fields, "call_id"), name, _arguments(_needed(fields, "arguments", most=MAX_TEXT)))


def _custom_call(conversation: Conversation, fields: Fields, toolbox: Toolbox) -> None:
    name = _called(fields, toolbox)
    conversation.called(_needed(fields, "call_id"), name, {"input": _needed(fields, "input", most=MAX_TEXT)})


def _called(fields: Fields, toolbox: Toolbox) -> str:
    name, namespace = _needed(fields, "name"), fields.text("namespace", longest=MAX_NAME)
    # OpenAI's own deferred functions come back with their own name as namespace.
    if namespace is None or (namespace == name and name in toolbox.names):
        return name
    return flat_name(namespace, name)


def _output(conversation: Conversation, fields: Fields, _: Toolbox) -> None:
    call_id = _needed(fields, "call_id")
    fields.ignore(("name", "namespace"))
    output = only_text(read_content(fields, "output"), fields.at("output"), "a tool")
    if not conversation.answered(call_id, output):
        raise BadRequest(
            f"no call before this output has the call_id {call_id[:64]!r}",
            param=fields.at("call_id"),
            hint="send the item of the call as well, or previous_response_id",
        )


def _reasoning(conversation: Conversation, fields: Fields, _: Toolbox) -> None:
    content = _texts(fields, "content", "reasoning_text")
    summary = _texts(fields, "summary", "summary_text")
    sealed = fields.text("encrypted_content", longest=MAX_TEXT)
    opened = unseal(sealed) if sealed else ""
    if opened is None and not (content or summary):
        raise unsupported(
            "another provider's encrypted_content", fields.at("encrypted_content"), "leave that reasoning item out"
        )
    conversation.thought(content or opened or summary)


def _texts(fields: Fields, name: str, sort: str) -> str:
    found: list[str] = []
    for index, part in enumerate(fields.array(name, most=MAX_ITEMS) or []):
        where = pointer(fields.at(name), index)
        if not isinstance(part, dict):
            raise BadRequest(f"a part must be an object, not {kind(part)}", param=where)
        inner = Fields(part, where)
        if inner.text("type") not in (sort, "text"):
            raise BadRequest(f"type must be {sort}", param=inner.at("type"))
        found.append(_needed(inner, "text", most=MAX_TEXT))
        inner.refuse_rest()
    return "\n\n".join(found)


def _needed(fields: Fields, name: str, *, most: int = MAX_NAME) -> str:
    value = fields.text(name, longest=most)
    if value is None:
        raise BadRequest(f"this needs the field {name}", param=fields.at(name))
    return value


def _arguments(text: str) -> Json:
    """Arguments as templates print them: an object; as they stand where the model wrote something else."""
    try:
        value: Json = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


_READERS: dict[str, Callable[[Conversation, Fields, Toolbox], None]] = {
    "message": _message,
    "function_call": _call,
    "custom_tool_call": _custom_call,
    "function_call_output": _output,
    "custom_tool_call_output": _output,
    "reasoning": _reasoning,
}
