# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation: Ollama's messages as turns that chat templates know."""

from __future__ import annotations

from collections import deque

from llama_orch.wire.fields import Fields, kind
from llama_orch.wire.generation import Chat, Tool, ToolWish, Turn
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.ollama_chat.options import read_images
from llama_orch.wire.picture import joined, only_text
from llama_orch_utils.errors import BadRequest

MAX_MESSAGES = 4096
MAX_CALLS = 128
MAX_TOOLS = 1024
ROLES = ("system", "user", "assistant", "tool")
_NOTHING: dict[str, Json] = {"type": "object", "properties": {}}


class _Pending:
    """Calls whose results have not come. Ollama's calls may have no ids, and results name only their function."""

    def __init__(self) -> None:
        self._open: dict[str, str] = {}
        self._by_name: dict[str, deque[str]] = {}
        self._count = 0

    def add(self, identity: str | None, name: str) -> str:
        """The call's id: its own, or nine letters and digits, a form that every template takes."""
        identity = identity or f"call{self._count:05d}"
        self._count += 1
        self._open[identity] = name
        self._by_name.setdefault(name, deque()).append(identity)
        return identity

    def take(self, identity: str | None, name: str | None) -> tuple[str | None, str | None]:
        """Id and name of the call that a result belongs to: by its id, else the first open one (of that name)."""
        if identity is None:
            identity = next(iter(self._open), None) if name is None else self._first(name)
        found = None if identity is None else self._open.pop(identity, None)
        return identity, name or found

    def _first(self, name: str) -> str | None:
        waiting = self._by_name.get(name, deque())
        while waiting:
            identity = waiting.popleft()
            if identity in self._open:
                return identity
        return None


def read_chat(fields: Fields) -> Chat | None:
    """The field `messages`; None where there are none, which asks to load the model.

    A last message of the assistant's is the beginning of the answer, as with Ollama.
    """
    items = fields.array("messages", most=MAX_MESSAGES)
    if not items:
        return None
    where = fields.at("messages")
    turns: list[Turn] = []
    pending = _Pending()
    for index, item in enumerate(items):
        turns.append(_turn(item, pointer(where, index), pending))
    last = turns[-1]
    if last["role"] != "assistant" or "tool_calls" in last:
        return Chat(tuple(turns))
    if len(turns) == 1 or turns[-2]["role"] == "assistant":
        raise BadRequest(
            "an answer can only be continued after a message that it answers", param=pointer(where, len(turns) - 1)
        )
    return Chat(tuple(turns[:-1]), str(last["content"]) or None)


def read_tools(fields: Fields) -> ToolWish | None:
    """The field `tools`; None where there are none."""
    items = fields.array("tools", most=MAX_TOOLS)
    if not items:
        return None
    where = fields.at("tools")
    return ToolWish(tuple(_tool(item, pointer(where, index)) for index, item in enumerate(items)))


def _turn(item: Json, where: str, pending: _Pending) -> Turn:
    if not isinstance(item, dict):
        raise BadRequest(f"a message must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    role = fields.text("role")
    if role not in ROLES:
        raise BadRequest(f"role must be one of {', '.join(ROLES)}", param=fields.at("role"))
    content = joined([*read_images(fields), fields.text("content") or ""])
    turn: Turn = {"role": role, "content": content if role == "user" else only_text(content, where, f"the {role}")}
    thought = fields.text("thinking")
    if thought and role == "assistant":
        turn["reasoning_content"] = thought
    calls = _calls(fields, pending)
    if calls and role != "assistant":
        raise BadRequest("only the assistant calls tools", param=fields.at("tool_calls"))
    if calls:
        turn["tool_calls"] = calls
    _name_result(fields, turn, pending)
    fields.refuse_rest()
    return turn


def _calls(fields: Fields, pending: _Pending) -> list[Json]:
    found: list[Json] = []
    items = fields.array("tool_calls", most=MAX_CALLS) or []
    for index, item in enumerate(items):
        where = pointer(fields.at("tool_calls"), index)
        if not isinstance(item, dict):
            raise BadRequest(f"a tool call must be an object, not {kind(item)}", param=where)
        call = Fields(item, where)
        call.ignore(("type",))
        identity = call.text("id")
        function = _function(call)
        identity = pending.add(identity, str(function["name"]))
        found.append({"type": "function", "id": identity, "function": function})
    return found


def _function(call: Fields) -> dict[str, Json]:
    function = call.object("function")
    call.refuse_rest()
    if function is None:
        raise BadRequest("a tool call must have a function", param=call.at("function"))
    name = function.text("name")
    if not name:
        raise BadRequest("a function must have a name", param=function.at("name"))
    arguments = function.object("arguments")
    function.ignore(("index", "description"))
    function.refuse_rest()
    return {"name": name, "arguments": {} if arguments is None else arguments.members()}


def _name_result(fields: Fields, turn: Turn, pending: _Pending) -> None:
    name = fields.text("tool_name")
    name = fields.text("name") or name
    identity = fields.text("tool_call_id")
    if turn["role"] != "tool":
        return
    identity, name = pending.take(identity, name)
    if identity is not None:
        turn["tool_call_id"] = identity
    if name:
        turn["name"] = name


def _tool(item: Json, where: str) -> Tool:
    if not isinstance(item, dict):
        raise BadRequest(f"a tool must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    if fields.text("type") not in (None, "function"):
        raise BadRequest("type must be function", param=fields.at("type"))
    function = fields.object("function")
    fields.refuse_rest()
    if function is None:
        raise BadRequest("a tool must have a function", param=fields.at("function"))
    name = function.text("name")
    if not name:
        raise BadRequest("a function must have a name", param=function.at("name"))
    description = function.text("description") or ""
    parameters = function.object("parameters")
    strict = function.flag("strict")
    function.refuse_rest()
    schema = _NOTHING if parameters is None else _schema(parameters)
    return Tool(name, description, schema, strict, function.at("parameters"))


def _schema(parameters: Fields) -> dict[str, Json]:
    if parameters.members().get("type", "object") != "object":
        raise BadRequest('the type of parameters must be "object"', param=parameters.at("type"))
    # The ollama package writes null for what a tool does not say.
    return {name: value for name, value in parameters.members().items() if value is not None}
