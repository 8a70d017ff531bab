# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of JSON Schemas: a dialect's `schema.py` says with them what its `Fields` do (null is absent)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Schema = dict[str, object]

ANYTHING: Schema = {}
TEXT: Schema = {"type": "string"}
FLAG: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
NULL: Schema = {"type": "null"}
COST: Schema = {"type": "integer", "minimum": 0, "description": "micro-euros; only where requests are charged"}


def text(*, shortest: int = 0, longest: int | None = None, pattern: str | None = None) -> Schema:
    """A string of `shortest` to `longest` characters."""
    found: Schema = {"type": "string"}
    if shortest:
        found["minLength"] = shortest
    if longest is not None:
        found["maxLength"] = longest
    if pattern is not None:
        found["pattern"] = pattern
    return found


def number(low: float, high: float) -> Schema:
    """A number within the bounds, both included."""
    return {"type": "number", "minimum": low, "maximum": high}


def integer(low: int, high: int) -> Schema:
    """A whole number within the bounds, both included."""
    return {"type": "integer", "minimum": low, "maximum": high}


def enum(*values: object) -> Schema:
    """One of `values`."""
    return {"enum": list(values)}


def array(items: Schema, *, least: int = 0, most: int | None = None) -> Schema:
    """A list of `least` to `most` items."""
    found: Schema = {"type": "array", "items": items}
    if least:
        found["minItems"] = least
    if most is not None:
        found["maxItems"] = most
    return found


def any_of(*schemas: Schema) -> Schema:
    """What fits at least one of them."""
    return {"anyOf": list(schemas)}


def request_object(
    required: Mapping[str, Schema], optional: Mapping[str, Schema], *, ignored: Iterable[str] = ()
) -> Schema:
    """An object as `Fields` reads it: optional fields may be null, unknown ones must be."""
    properties: dict[str, object] = dict(required)
    properties |= {name: any_of(schema, NULL) for name, schema in optional.items()}
    properties |= dict.fromkeys(ignored, ANYTHING)
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": NULL}
    if required:
        found["required"] = list(required)
    return found


def answer_object(properties: Mapping[str, Schema], *, optional: Sequence[str] = (), more: bool = False) -> Schema:
    """An object as we write it: all members but the `optional` ones are always there; `more`: others may be."""
    found: Schema = {"type": "object", "properties": dict(properties)}
    found["required"] = [name for name in properties if name not in optional]
    if not more:
        found["additionalProperties"] = False
    return found
