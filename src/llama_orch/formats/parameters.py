# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments written as XML elements: which are plain text there, and which are JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

_PLAIN = frozenset(("type", "title", "description", "default", "examples", "deprecated", "$comment", "nullable"))


def schema_of(tools: Collection[str], name: str) -> object:
    """The schema of a tool, None where only names are known."""
    return cast("Mapping[str, object]", tools).get(name) if isinstance(tools, Mapping) else None


def property_of(schema: object, name: str) -> object:
    """The schema of a property, None where it has none of its own."""
    if not isinstance(schema, Mapping):
        return None
    properties = cast("Mapping[str, object]", schema).get("properties")
    return cast("Mapping[str, object]", properties).get(name) if isinstance(properties, Mapping) else None


def is_raw(schema: object) -> bool:
    """Whether a value of this schema is any text whatever, and so is written without quotes.

    What else is a string (one of an enumeration, or of a pattern) is written as JSON: there a grammar can hold it.
    """
    if not isinstance(schema, Mapping):
        return False
    known = cast("Mapping[str, object]", schema)
    return known.get("type") == "string" and known.keys() <= _PLAIN


def written_as_elements(schema: Mapping[str, object]) -> list[tuple[str, object, bool]]:
    """The properties that can be written: key, schema, whether it must be; then what is required beyond them."""
    properties = schema.get("properties")
    known: Mapping[str, object] = cast("Mapping[str, object]", properties) if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    names = cast("list[str]", required) if isinstance(required, list) else []
    found = [(key, part, key in names) for key, part in known.items()]
    return found + [(name, schema.get("additionalProperties", True), True) for name in names if name not in known]


def part_of(schema: Mapping[str, object], part: object) -> Mapping[str, object]:
    """A part of a schema that can stand alone: the definitions that it may refer to come along."""
    own: Mapping[str, object] = cast("Mapping[str, object]", part) if isinstance(part, Mapping) else {}
    return {**own, **{name: schema[name] for name in ("$defs", "definitions") if name in schema}}
