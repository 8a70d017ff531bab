# SPDX-License-Identifier: GPL-3.0-or-later
"""`tools`, `tool_choice` and `parallel_tool_calls`: what the model may call."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Tool, ToolWish
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.responses.choice import read_choice
from llama_orch.wire.responses.names import flat_name
from llama_orch_utils.errors import BadRequest

MAX_TOOLS = 1024
MAX_DESCRIPTION = 4 * 1024 * 1024
NAME_PATTERN = "^[A-Za-z0-9_.-]{1,128}$"
_NAME = re.compile(NAME_PATTERN[1:-1], re.ASCII)

# How a tool is loaded and who else may call it: the model here is given every tool, and calls it itself.
WITHOUT_EFFECT = ("async", "allowed_callers", "defer_loading", "output_schema")
_FREE_TEXT: dict[str, Json] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}


@dataclass(slots=True)
class Toolbox:
    """`wish` None: there are no tools. `shown` and `choice` are what the answer repeats.

    `kinds` says of the tools that are no plain functions what a call of theirs is in the answer, by the name that the
    model knows: `{"type": "custom" or "function", "name": …, "namespace": … or None}`.
    """

    wish: ToolWish | None = None
    shown: list[Json] = field(default_factory=list[Json])
    choice: Json = "auto"
    parallel: bool = True
    kinds: dict[str, Json] = field(default_factory=dict[str, Json])
    tools: dict[str, Tool] = field(default_factory=dict[str, Tool])

    @property
    def names(self) -> frozenset[str]:
        """What the model may call."""
        return frozenset(self.tools)


def read_tools(fields: Fields) -> Toolbox:
    """The three fields. Raises UnsupportedByTarget, naming it, for a tool that nobody here would run."""
    box = Toolbox(parallel=fields.flag("parallel_tool_calls") is not False)
    for index, item in enumerate(fields.array("tools", most=MAX_TOOLS) or []):
        where = pointer(fields.at("tools"), index)
        shown = _read(box, item, where, None)
        if shown is not None:
            box.shown.append(shown)
    box.wish, box.choice = read_choice(fields, tuple(box.tools.values()), box.kinds, parallel=box.parallel)
    return box


def _read(box: Toolbox, item: Json, where: str, namespace: str | None) -> Json:
    if not isinstance(item, dict):
        raise BadRequest(f"a tool must be an object, not {kind(item)}", param=where)
    fields = Fields(item, where)
    sort = fields.text("type")
    if sort is None:
        raise BadRequest("a tool must have a type", param=fields.at("type"))
    if sort == "function":
        return _function(box, fields, namespace)
    if sort == "custom":
        return _custom(box, fields, namespace)
    if sort == "namespace" and namespace is None:
        return _namespace(box, fields)
    if sort == "web_search" and fields.flag("external_web_access") is False:
        # Codex's default: a search in what the provider has cached, never the web. Nothing is cached here, so the
        # model is not told of it, and the answer does not list it.
        return None
    hint = "functions and custom tools are served; nobody here would run this one"
    raise unsupported(f"the tool {sort[:64]}", where, f"leave {where} out: {hint}")


def _function(box: Toolbox, fields: Fields, namespace: str | None) -> Json:
    name, description = _name(fields), fields.text("description", longest=MAX_DESCRIPTION)
    parameters, strict = fields.object("parameters"), fields.flag("strict")
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    schema: dict[str, Json] = {"type": "object", "properties": {}} if parameters is None else parameters.members()
    flat = name if namespace is None else flat_name(namespace, name)
    _add(box, Tool(flat, description or "", schema, strict, fields.at("parameters")), fields)
    if namespace is not None:
        box.kinds[flat] = {"type": "function", "name": name, "namespace": namespace}
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": None if parameters is None else schema,
        "strict": strict,
    }


def _custom(box: Toolbox, fields: Fields, namespace: str | None) -> Json:
    name, description = _name(fields), fields.text("description", longest=MAX_DESCRIPTION)
    form = fields.object("format")
    sort = "text" if form is None else form.text("type")
    if form is not None and sort != "text":
        hint = f"leave {form.where} out: the tool then takes any text"
        raise unsupported(f"a custom tool's {(sort or 'format')[:64]}", form.where, hint)
    if form is not None:
        form.refuse_rest()
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    flat = name if namespace is None else flat_name(namespace, name)
    _add(box, Tool(flat, description or "", _FREE_TEXT, True, fields.at("format")), fields)
    box.kinds[flat] = {"type": "custom", "name": name, "namespace": namespace}
    return {"type": "custom", "name": name, "description": description, "format": {"type": "text"}}


def _namespace(box: Toolbox, fields: Fields) -> Json:
    name, description = _name(fields), fields.text("description", longest=MAX_DESCRIPTION) or ""
    shown: list[Json] = []
    first = len(box.tools)
    for index, item in enumerate(fields.array("tools", most=MAX_TOOLS) or []):
        shown.append(_read(box, item, pointer(fields.at("tools"), index), name))
    fields.refuse_rest()
    if len(box.tools) > MAX_TOOLS:
        raise BadRequest(f"there are {len(box.tools)} tools; {MAX_TOOLS} are the most", param=fields.at("tools"))
    if description and len(box.tools) > first:  # templates know no groups: the first tool tells about all of them
        flat = list(box.tools)[first]
        told = box.tools[flat]
        text = f"{told.description}\n\nAbout all tools of {name}: {description}".strip()
        box.tools[flat] = Tool(told.name, text, told.parameters, told.strict, told.where)
    return {"type": "namespace", "name": name, "description": description, "tools": shown}


def _name(fields: Fields) -> str:
    name = fields.text("name")
    if name is None or not _NAME.fullmatch(name):
        raise BadRequest(
            "a tool needs a name of 1 to 128 letters, digits, underscores, hyphens or dots",
            param=fields.at("name"),
        )
    return name


def _add(box: Toolbox, tool: Tool, fields: Fields) -> None:
    if tool.name in box.tools:
        raise BadRequest(f"there are two tools named {tool.name}", param=fields.at("name"))
    box.tools[tool.name] = tool
