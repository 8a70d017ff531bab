# SPDX-License-Identifier: Apache-2.0
"""The smallest JSON that fits a schema: what a fake tap answers, unscripted, to who asks for one.

Only what the schemas of types need: no patterns, no conditions.
"""

from __future__ import annotations

from typing import Any, cast

Json = dict[str, Any]
_MOST_DEPTH = 32
_EMPTY: dict[str, Any] = {"string": "", "boolean": False, "null": None}


def smallest(schema: Json, root: Json | None = None, depth: int = 0) -> Any:
    """A value that fits `schema`, whose references are looked up in `root` (itself unless given)."""
    root = schema if root is None else root
    if depth > _MOST_DEPTH:
        return None
    if reference := schema.get("$ref"):
        return smallest(_found(root, str(reference)), root, depth + 1)
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    if "enum" in schema:
        return schema["enum"][0]
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in schema:  # the last: of a type that may be missing, pydantic writes null there
            return smallest(schema[keyword][-1], root, depth + 1)
    return _of_type(schema, root, depth)


def _of_type(schema: Json, root: Json, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "null")
    if isinstance(kind, list):
        kind = cast("list[str]", kind)[0]
    if kind == "object":
        wanted = cast("list[str]", schema.get("required", []))
        return {name: smallest(schema["properties"][name], root, depth + 1) for name in wanted}
    if kind == "array":
        return [smallest(schema.get("items", {}), root, depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind in ("integer", "number"):
        return schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    return "x" * schema["minLength"] if "minLength" in schema else _EMPTY.get(kind)


def _found(root: Json, reference: str) -> Json:
    found: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return cast("Json", found)
