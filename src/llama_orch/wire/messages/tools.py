# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools that the model may call, and how it is to choose among them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Literal

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Tool, ToolWish
from llama_orch.wire.json_body import Json, pointer
from llama_orch_utils.errors import BadRequest

MAX_TOOLS = 1024
MAX_EXAMPLES = 64
NAME = r"^[a-zA-Z0-9_-]{1,128}$"
CHOICES = ("auto", "any", "tool", "none")

# How arguments are streamed and where a prompt may be cached: neither changes an answer of this server.
TOOL_WITHOUT_EFFECT = ("cache_control", "eager_input_streaming")
_NAME = re.compile(NAME.replace("$", r"\Z"), re.ASCII)
_OWN_TOOL = "give it a name, a description and an input_schema, and run it in your client"


def read_tools(fields: Fields, referenced: Collection[str]) -> ToolWish | None:
    """The fields `tools` and `tool_choice`; None where there is no tool.

    A tool with `defer_loading` is offered once a tool_reference has named it.
    """
    items = fields.array("tools", most=MAX_TOOLS) or []
    where = fields.at("tools")
    choice, name, parallel = _choice(fields)
    wanted = {*referenced, name}
    tools: dict[str, Tool] = {}
    for index, item in enumerate(items):
        tool, later = _tool(item, pointer(where, index))
        if tool.name in tools:
            raise BadRequest(f"the tool name {tool.name} is given twice", param=pointer(tool.where, "name"))
        if not later or tool.name in wanted:
            tools[tool.name] = tool
    if name is not None and name not in tools:
        raise BadRequest(f"there is no tool {name[:128]} in tools", param="/tool_choice/name")
    if choice not in {"none", "auto"} and not tools:
        raise BadRequest("tool_choice needs tools", param="/tool_choice", hint="add tools, or leave tool_choice out")
    if not tools:
        return None
    return ToolWish(tuple(_at_schema(tool) for tool in tools.values()), choice, name, parallel)


def _at_schema(tool: Tool) -> Tool:
    where = pointer(tool.where, "input_schema")
    return Tool(tool.name, tool.description, tool.parameters, tool.strict, where)


def _choice(fields: Fields) -> tuple[Literal["none", "auto", "required", "named"], str | None, bool]:
    choice = fields.object("tool_choice")
    if choice is None:
        return "auto", None, True
    sort = choice.text("type")
    if sort not in CHOICES:
        raise BadRequest(f"type must be one of {', '.join(CHOICES)}", param=choice.at("type"))
    name = choice.text("name") if sort == "tool" else None
    if sort == "tool" and name is None:
        raise BadRequest("a choice of type tool needs a name", param=choice.at("name"))
    parallel = not choice.flag("disable_parallel_tool_use") if sort != "none" else True
    choice.refuse_rest()
    if sort == "tool":
        return "named", name, parallel
    return ("required" if sort == "any" else "none" if sort == "none" else "auto"), None, parallel


def _tool(item: Json, where: str) -> tuple[Tool, bool]:
    if not isinstance(item, dict):
        raise BadRequest(f"a tool must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    sort = fields.text("type")
    if sort not in (None, "custom"):
        raise unsupported(f"the tool type {sort[:64]}", fields.where, _OWN_TOOL)
    name = fields.text("name")
    if name is None or not _NAME.match(name):
        raise BadRequest("name must be 1 to 128 letters, digits, _ and -", param=fields.at("name"))
    description = (fields.text("description") or "") + _examples(fields)
    parameters = _schema(fields)
    _check_callers(fields)
    strict = fields.flag("strict")
    deferred = fields.flag("defer_loading") or False
    fields.ignore(TOOL_WITHOUT_EFFECT)
    fields.refuse_rest()
    return Tool(name, description, parameters, strict, where), deferred


def _schema(fields: Fields) -> dict[str, Json]:
    schema = fields.object("input_schema")
    if schema is None:
        raise BadRequest("a tool needs an input_schema", param=fields.at("input_schema"))
    if schema.members().get("type", "object") != "object":
        raise BadRequest('the type of an input_schema must be "object"', param=schema.at("type"))
    return schema.members()


def _examples(fields: Fields) -> str:
    # No chat template has a place for examples of arguments, so they stand where every template prints something.
    examples = fields.array("input_examples", most=MAX_EXAMPLES)
    if not examples:
        return ""
    for index, example in enumerate(examples):
        if not isinstance(example, dict):
            raise BadRequest(
                f"an example must be an object, not {kind(example)}",
                param=pointer(fields.at("input_examples"), index),
            )
    return "\nExamples of its input:\n" + "\n".join(json.dumps(example, ensure_ascii=False) for example in examples)


def _check_callers(fields: Fields) -> None:
    callers = fields.array("allowed_callers", most=MAX_EXAMPLES)
    if callers is not None and "direct" not in callers:
        raise unsupported("a tool that only other tools may call", fields.at("allowed_callers"))
