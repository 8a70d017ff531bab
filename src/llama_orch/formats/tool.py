# SPDX-License-Identifier: GPL-3.0-or-later
"""A tool as a grammar has to know it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llama_orch_utils.errors import BadRequest

_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,128}")


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that may be called. `parameters` is its JSON Schema, `where` the schema's JSON pointer in the body.

    `strict`: what of the schema cannot be held refuses the request; else the grammar does without it.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict[str, object])
    where: str = "/tools"
    strict: bool | None = None


def check_names(tools: Sequence[ToolSpec]) -> None:
    """Raises BadRequest for a name that a format could not carry, and for one that two tools have."""
    seen: set[str] = set()
    for tool in tools:
        where = tool.where.rpartition("/")[0] + "/name"
        if not _NAME.fullmatch(tool.name):
            message = "A tool's name is made of 1 to 128 of the characters A-Z a-z 0-9 _ . and -"
            raise BadRequest(message, param=where, hint="rename the tool")
        if tool.name in seen:
            raise BadRequest(f"Two tools are named {tool.name}.", param=where, hint="name each tool once")
        seen.add(tool.name)


def of_object(tool: ToolSpec) -> Mapping[str, object]:
    """The tool's schema, said to be of an object. Raises BadRequest for one of something else."""
    sort = tool.parameters.get("type", "object")
    if sort == "object" and "type" in tool.parameters:
        return tool.parameters
    if sort == "object" or (isinstance(sort, list) and "object" in sort):
        return {**tool.parameters, "type": "object"}
    raise BadRequest("A tool's arguments are a JSON object.", param=f"{tool.where}/type", hint='give type "object"')
