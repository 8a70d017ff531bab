# SPDX-License-Identifier: GPL-3.0-or-later
"""A JSON Schema as text into bounded JSON, and the schemas that lie in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NoReturn, cast

from llama_orch.engine.grammar.excess import excess
from llama_orch_utils.errors import BadRequest

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
PARAM = "/json_schema"
Json = dict[str, Any]

_SCHEMAS_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_LISTS_OF_SCHEMAS = ("prefixItems", "anyOf", "oneOf", "allOf", "items")
_SCHEMAS = ("items", "additionalProperties", "additionalItems")


def parse(text: str) -> Json:
    """The schema as an object; `true` is the empty one. Raises BadRequest for no JSON, too large and too deep."""
    value = _json(text)
    if value is True:
        return {}
    if value is False:
        raise BadRequest("The JSON schema cannot be used: false allows no answer.", param=PARAM)
    if not isinstance(value, dict):
        raise BadRequest("A JSON schema is an object or a boolean.", param=PARAM)
    return cast("Json", value)


def subschemas(schema: object, pointer: str = "") -> Iterator[tuple[str, Json]]:
    """All object schemas in a schema with their JSON pointers, the outer before the inner."""
    if not isinstance(schema, dict):
        return
    part = cast("Json", schema)
    yield pointer, part
    for keyword in _SCHEMAS_BY_NAME:
        if isinstance(part.get(keyword), dict):
            for name, inner in part[keyword].items():
                yield from subschemas(inner, f"{pointer}/{escape(keyword)}/{escape(name)}")
    for keyword in _LISTS_OF_SCHEMAS:
        if isinstance(part.get(keyword), list):
            for index, inner in enumerate(part[keyword]):
                yield from subschemas(inner, f"{pointer}/{keyword}/{index}")
    for keyword in _SCHEMAS:
        yield from subschemas(part.get(keyword), f"{pointer}/{keyword}")


def at(schema: Json, pointer: str) -> object:
    """What lies at a JSON pointer in a schema, None where nothing does."""
    place: object = schema
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list):
            items = cast("list[object]", place)
            place = items[int(name)] if name.isdecimal() and int(name) < len(items) else None
        else:
            place = cast("dict[str, object]", place).get(name) if isinstance(place, dict) else None
    return place


def escape(name: str) -> str:
    """A name as a step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")


def _json(text: str) -> object:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise excess(f"The JSON schema is longer than {MAX_BYTES // 1024} KiB.", param=PARAM)
    too_deep = excess(f"The JSON schema nests deeper than {MAX_DEPTH}.", param=PARAM)
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"The JSON schema is no JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        raise BadRequest(message, param=PARAM) from error
    except RecursionError:
        raise too_deep from None
    except ValueError as error:  # an integer of thousands of digits
        raise BadRequest(f"The JSON schema is no JSON: {error}", param=PARAM) from error
    if _depth(value) > MAX_DEPTH:
        raise too_deep
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise BadRequest(f"The JSON schema is no JSON: {name} is no number of it.", param=PARAM)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [inner for outer in level for inner in _inner(outer)]
    return depth


def _inner(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []
