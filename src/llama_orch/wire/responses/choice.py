# SPDX-License-Identifier: GPL-3.0-or-later
"""`tool_choice`: whether the model has to call something, and what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import Tool, ToolWish
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.responses.names import flat_name
from llama_orch_utils.errors import BadRequest

WORDS: Mapping[str, Literal["none", "auto", "required"]] = {"none": "none", "auto": "auto", "required": "required"}
MAX_ALLOWED = 1024


def read_choice(
    fields: Fields, tools: tuple[Tool, ...], kinds: Mapping[str, Json], *, parallel: bool
) -> tuple[ToolWish | None, Json]:
    """What is wished about `tools`, and what the answer repeats of the choice."""
    value = fields.take("tool_choice")
    where = fields.at("tool_choice")
    if value is None or isinstance(value, str):
        word = WORDS.get(value or "auto")
        if word is None:
            raise BadRequest(f"tool_choice must be {', '.join(WORDS)} or an object", param=where)
        if word == "required" and not tools:
            raise BadRequest("tool_choice asks for a call, and there are no tools", param=where)
        return (ToolWish(tools, word, parallel=parallel) if tools else None), word
    if not isinstance(value, dict):
        raise BadRequest(f"tool_choice must be a string or an object, not {kind(value)}", param=where)
    choice = Fields(value, where)
    if value.get("type") == "allowed_tools":
        return _allowed(choice, tools, kinds, parallel=parallel), value
    name = _named(choice, tools, kinds)
    return ToolWish(tools, "named", name, parallel), value


def _allowed(choice: Fields, tools: tuple[Tool, ...], kinds: Mapping[str, Json], *, parallel: bool) -> ToolWish:
    choice.take("type")
    mode = choice.text("mode")
    if mode not in ("auto", "required"):
        raise BadRequest("mode must be auto or required", param=choice.at("mode"))
    items = choice.array("tools", most=MAX_ALLOWED) or []
    choice.refuse_rest()
    names: set[str] = set()
    for index, item in enumerate(items):
        where = pointer(choice.at("tools"), index)
        if not isinstance(item, dict):
            raise BadRequest(f"an allowed tool must be an object, not {kind(item)}", param=where)
        names.add(_named(Fields(item, where), tools, kinds))
    if not names:
        raise BadRequest("allowed_tools allows no tool", param=choice.at("tools"))
    return ToolWish(tuple(tool for tool in tools if tool.name in names), WORDS[mode], parallel=parallel)


def _named(choice: Fields, tools: tuple[Tool, ...], kinds: Mapping[str, Json]) -> str:
    sort = choice.text("type")
    if sort not in ("function", "custom"):
        raise unsupported(f"the tool {(sort or 'choice')[:64]}", choice.at("type"), "name a function or a custom tool")
    name, namespace = choice.text("name"), choice.text("namespace")
    choice.refuse_rest()
    flat = flat_name(namespace, name or "") if namespace else name
    custom = {found for found, told in kinds.items() if isinstance(told, dict) and told["type"] == "custom"}
    for tool in tools:
        if tool.name == flat and (tool.name in custom) == (sort == "custom"):
            return tool.name
    raise BadRequest(f"there is no {sort} tool named {(name or '')[:128]!r}", param=choice.at("name"))
