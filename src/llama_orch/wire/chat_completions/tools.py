# SPDX-License-Identifier: GPL-3.0-or-later
"""`tools`, `tool_choice` and `parallel_tool_calls`: what the model may call, and whether it must."""

from __future__ import annotations

import re
from dataclasses import replace

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Tool, ToolWish
from llama_orch.wire.json_body import Json, pointer
from llama_orch_utils.errors import BadRequest

MAX_TOOLS = 1024
NAME_PATTERN = "^[A-Za-z0-9_.-]{1,128}$"
_NAME = re.compile(NAME_PATTERN[1:-1], re.ASCII)
_ONLY_FUNCTIONS = "only tools of type function are served"


def read_tools(fields: Fields) -> ToolWish | None:
    """The three fields; None where there are no tools. Raises UnsupportedByTarget for a tool that is no function."""
    tools: dict[str, Tool] = {}
    for index, item in enumerate(fields.array("tools", most=MAX_TOOLS) or []):
        tool = _tool(item, pointer(fields.at("tools"), index))
        if tool.name in tools:
            where = pointer(pointer(fields.at("tools"), index), "function") + "/name"
            raise BadRequest(f"there are two tools named {tool.name}", param=where)
        tools[tool.name] = tool
    parallel = fields.flag("parallel_tool_calls") is not False
    wish = _wish(fields, ToolWish(tuple(tools.values()), parallel=parallel))
    if wish.choice in ("required", "named") and not tools:
        raise BadRequest("tool_choice asks for a call, and there are no tools", param=fields.at("tool_choice"))
    return wish if tools else None


def _tool(item: Json, where: str) -> Tool:
    if not isinstance(item, dict):
        raise BadRequest(f"a tool must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    sort = fields.text("type")
    if sort is None:
        raise BadRequest("a tool must have a type", param=fields.at("type"), hint='send "type": "function"')
    if sort != "function":
        raise unsupported(f"the tool type {sort[:64]}", where, _ONLY_FUNCTIONS)
    function = fields.object("function")
    if function is None:
        raise BadRequest("a tool of type function needs the field function", param=fields.at("function"))
    fields.ignore(("cache_control",))
    fields.refuse_rest()
    return _function(function)


def _function(fields: Fields) -> Tool:
    name = fields.text("name")
    if name is None or not _NAME.fullmatch(name):
        raise BadRequest(
            "a function needs a name of 1 to 128 letters, digits, underscores, hyphens or dots",
            param=fields.at("name"),
        )
    parameters = fields.object("parameters")
    schema: dict[str, Json] = {"type": "object", "properties": {}} if parameters is None else parameters.members()
    if schema.get("type", "object") != "object":
        raise BadRequest('the type of parameters must be "object"', param=pointer(fields.at("parameters"), "type"))
    description, strict = fields.text("description") or "", fields.flag("strict")
    fields.refuse_rest()
    return Tool(name, description, schema, strict, fields.at("parameters"))


def _wish(fields: Fields, wish: ToolWish) -> ToolWish:
    value, where = fields.take("tool_choice"), fields.at("tool_choice")
    if value is None or value == "auto":
        return wish
    if value == "none":
        return replace(wish, choice="none")
    if value == "required":
        return replace(wish, choice="required")
    if not isinstance(value, dict):
        raise BadRequest("tool_choice must be none, auto, required, or an object that names a tool", param=where)
    choice = Fields(value, where)
    sort = choice.text("type")
    if sort == "function":
        return replace(wish, choice="named", name=_named(choice, wish))
    if sort == "allowed_tools":
        allowed = choice.object("allowed_tools")
        choice.refuse_rest()
        return _allowed(allowed, wish, where)
    raise unsupported(f"the tool choice {(sort or 'without a type')[:64]}", where, _ONLY_FUNCTIONS)


def _named(choice: Fields, wish: ToolWish) -> str:
    """The tool that `{"type": "function", "function": {"name": …}}` names."""
    function = choice.object("function")
    name = None if function is None else function.text("name")
    if function is None or name is None:
        raise BadRequest("a choice of type function needs function.name", param=choice.where)
    choice.refuse_rest()
    function.refuse_rest()
    if name not in {tool.name for tool in wish.tools}:
        raise BadRequest(f"there is no tool {name[:128]} in tools", param=function.at("name"))
    return name


def _allowed(fields: Fields | None, wish: ToolWish, where: str) -> ToolWish:
    mode = None if fields is None else fields.text("mode")
    if fields is None or mode not in ("auto", "required"):
        raise BadRequest("allowed_tools needs a mode: auto or required", param=pointer(where, "allowed_tools"))
    names: set[str] = set()
    for index, item in enumerate(fields.array("tools", most=MAX_TOOLS) or []):
        place = pointer(fields.at("tools"), index)
        choice = Fields(item if isinstance(item, dict) else {}, place)
        if choice.text("type") != "function":
            raise unsupported("an allowed tool that is no function", place, _ONLY_FUNCTIONS)
        names.add(_named(choice, wish))
    fields.refuse_rest()
    if not names:
        raise BadRequest("allowed_tools names no tool", param=fields.at("tools"))
    tools = tuple(tool for tool in wish.tools if tool.name in names)
    return replace(wish, tools=tools, choice="required" if mode == "required" else "auto")
