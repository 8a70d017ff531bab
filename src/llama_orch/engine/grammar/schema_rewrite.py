# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of a JSON Schema in words that llguidance holds to the letter; what is said stays the same, or narrower."""

from __future__ import annotations

import json
import re
from typing import cast

from llama_orch.engine.grammar.schema_text import Json
from llama_orch.engine.grammar.string_formats import HELD, NARROWER, NOT_OF_STRINGS, NOTES, PATTERNS

_GROUPS = (
    ("properties", "patternProperties", "required", "additionalProperties", "minProperties", "maxProperties"),
    ("prefixItems", "items", "additionalItems", "minItems", "maxItems"),
)
_NUMBERED = re.compile("[\x00-\x07\x0b\x0e-\x1f\x7f\ud800-\udfff]")
_NOTES = frozenset(("title", "description", "$comment", "default", "examples", "deprecated"))


def simplify(part: Json) -> None:
    """Rewrites keywords that say nothing, or that others can say, in place."""
    if part.get("uniqueItems") is False or _most(part.get("maxItems")) <= 1:
        part.pop("uniqueItems", None)
    _hold_names(part)
    _hold_one_of(part)
    for keyword in ("minContains", "maxContains"):
        if "contains" not in part:
            part.pop(keyword, None)  # they say nothing without it
    _gather(part)


def _gather(part: Json) -> None:
    """Brings keywords together that restrict each other: llguidance reads what lies between as a part of its own."""
    found: Json = {}
    for keyword in part:
        group = next((group for group in _GROUPS if keyword in group), (keyword,))
        found |= {name: part[name] for name in group if name in part and name not in found}
    part.clear()
    part.update(found)


def unwritable(value: object) -> bool:
    """Whether a string in the value has a character that JSON writes by number only: that escape is not taken."""
    if isinstance(value, str):
        return _NUMBERED.search(value) is not None
    if isinstance(value, dict):
        return any(unwritable(name) or unwritable(inner) for name, inner in cast("Json", value).items())
    return isinstance(value, list) and any(map(unwritable, cast("list[object]", value)))


def _most(limit: object) -> float:
    return limit if isinstance(limit, int | float) else float("inf")


def _hold_names(part: Json) -> None:
    """`propertyNames` that any name fits is dropped; of a map without names of its own it becomes a pattern."""
    rule: object = part.get("propertyNames")
    if rule is True:
        del part["propertyNames"]
    if not isinstance(rule, dict) or cast("Json", rule).get("type", "string") != "string":
        return
    said = {name: value for name, value in cast("Json", rule).items() if name not in _NOTES and name != "type"}
    own = part.get("properties") or "patternProperties" in part or part.get("required")
    held = {} if not said else None if own else _map_of(said, part.get("additionalProperties", True))
    if held is not None:
        del part["propertyNames"]
        part.update(held)


def _map_of(said: Json, values: object) -> Json | None:
    """Keywords for a map with such names; None where the names' rules are of another kind."""
    names = [said["const"]] if said.keys() == {"const"} else said.get("enum")
    if said.keys() <= {"enum", "const"} and isinstance(names, list):
        known = [name for name in cast("list[object]", names) if isinstance(name, str)]
        return {"properties": dict.fromkeys(known, values), "additionalProperties": False}
    if said.keys() == {"pattern"} and isinstance(said["pattern"], str):
        return {"patternProperties": {said["pattern"]: values}, "additionalProperties": False}
    if said.keys() <= {"minLength", "maxLength"} and all(isinstance(length, int) for length in said.values()):
        pattern = f"^[^\\u0000]{{{said.get('minLength', 0)},{said.get('maxLength', '')}}}$"
        return {"patternProperties": {pattern: values}, "additionalProperties": False}
    return None


def _hold_one_of(part: Json) -> None:
    """`oneOf` of values that all differ is `anyOf`; llguidance sees that of strings only."""
    branches = part.get("oneOf")
    if not isinstance(branches, list) or "anyOf" in part:
        return
    seen: set[str] = set()
    for branch in cast("list[object]", branches):
        if not isinstance(branch, dict):
            return
        known = cast("Json", branch)
        values = [known["const"]] if "const" in known else known.get("enum")
        if not isinstance(values, list):
            return
        keys = {_canonical(value) for value in cast("list[object]", values)}
        if seen & keys:
            return
        seen |= keys
    part["anyOf"] = part.pop("oneOf")


def _canonical(value: object) -> str:
    """Equal texts for values that JSON Schema calls equal: 1 and 1.0 are, 1 and true are not."""
    return json.dumps(_whole(value), sort_keys=True)


def _whole(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[object]", value)]
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in cast("Json", value).items()}
    return value


def hold_format(part: Json) -> bool:
    """Writes `format` so that it is held; False where it cannot be."""
    sort = part.get("format")
    if not isinstance(sort, str):
        return sort is None
    if sort in NOTES:
        del part["format"]
    elif sort in NOT_OF_STRINGS:
        del part["format"]
        _also(part, dict(zip(("minimum", "maximum"), NOT_OF_STRINGS[sort], strict=True)))
    elif sort in PATTERNS:
        del part["format"]
        _also(part, {"pattern": PATTERNS[sort]})
    elif sort in NARROWER:
        part["format"] = NARROWER[sort]
    else:
        return sort in HELD
    return True


def _also(part: Json, rules: Json) -> None:
    """These rules too, whatever the part says already."""
    if not rules.keys() & part.keys():
        part.update(rules)
    else:
        part["allOf"] = [*part.get("allOf", []), rules]
