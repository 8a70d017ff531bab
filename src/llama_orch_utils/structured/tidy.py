# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas as pydantic writes them, made fit for targets that hold answers to a schema.

OpenAI's strict mode wants every object closed and every property required, and knows neither `default` nor `oneOf`;
source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

Json = dict[str, Any]

_SCHEMAS_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("prefixItems", "anyOf", "oneOf", "allOf")
_SCHEMAS = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")


def plain(schema: Json) -> Json:
    """The schema without titles and with its objects closed: what a tool's parameters are."""
    return _each(schema, _closed)


def strict(schema: Json) -> Json:
    """The schema as strict targets want it: also all properties required, no default or `uniqueItems`, `anyOf`."""
    return _each(schema, _strict)


def _each(schema: Json, change: Callable[[Json], None]) -> Json:
    """A copy of `schema` with `change` made in every schema of it, the inner first."""
    found: Json = dict(schema)
    for keyword in _SCHEMAS_BY_NAME:
        if isinstance(inner := found.get(keyword), dict):
            named = cast("Json", inner)
            found[keyword] = {name: _inside(part, change) for name, part in named.items()}
    for keyword in _LISTS:
        if isinstance(inner := found.get(keyword), list):
            found[keyword] = [_inside(part, change) for part in cast("list[Any]", inner)]
    for keyword in _SCHEMAS:
        if keyword in found:
            found[keyword] = _inside(found[keyword], change)
    change(found)
    return found


def _inside(part: Any, change: Callable[[Json], None]) -> Any:
    return _each(cast("Json", part), change) if isinstance(part, dict) else part


def _closed(schema: Json) -> None:
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if schema.get("type") == "object" and "properties" in schema:
        schema.setdefault("additionalProperties", False)
    # OpenAPI's word for which member of a union is meant; the members' own constants say it already.
    if schema.pop("discriminator", None) is not None and "oneOf" in schema:
        schema["anyOf"] = schema.pop("oneOf")


def _strict(schema: Json) -> None:
    _closed(schema)
    schema.pop("default", None)
    # Written for a set, which drops what comes twice by itself; no target can hold it token by token.
    schema.pop("uniqueItems", None)
    if schema.get("type") == "object" and "properties" in schema:
        schema["required"] = list(schema["properties"])
