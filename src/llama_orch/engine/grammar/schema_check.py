# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schemas are read here first, so that what cannot be held is named with its place."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn, cast

from llama_orch_utils.errors import BadRequest, UnsupportedByTarget

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
MAX_MULTIPLE = 10_000
PARAM = "/json_schema"
_HUGE = 10**15

UNSUPPORTED = frozenset((
    "not", "if", "then", "else", "dependentSchemas", "dependentRequired", "dependencies", "propertyNames", "contains",
    "minContains", "maxContains", "uniqueItems", "unevaluatedItems", "unevaluatedProperties", "$dynamicRef",
    "$recursiveRef", "x-guidance",
))  # fmt: skip
"""Keywords of JSON Schema (drafts 4 to 2020-12) that llguidance does not enforce, and its own switch to ignore some."""

_SCHEMAS_BY_NAME = ("properties", "patternProperties", "$defs", "definitions")
_LISTS_OF_SCHEMAS = ("prefixItems", "anyOf", "oneOf", "allOf", "items")
_SCHEMAS = ("items", "additionalProperties", "additionalItems")
Json = dict[str, Any]


def read(text: str) -> Json:
    """The schema as an object; `true` is the empty one.

    Raises BadRequest for what is no JSON, too large or too deep, UnsupportedByTarget for a keyword that cannot be
    held; `param` is /json_schema and the JSON pointer (RFC 6901) of the culprit.
    """
    value = _parse(text)
    if not isinstance(value, dict | bool):
        raise BadRequest("A JSON schema is an object or a boolean.", param=PARAM)
    if value is False:
        raise BadRequest("The JSON schema cannot be used: false allows no answer.", param=PARAM)
    schema = {} if value is True else cast("Json", value)
    multiple = 1
    for pointer, part in subschemas(schema):
        multiple = _common_multiple(multiple, part.get("multipleOf"), pointer)
        _check_least(part, pointer)
        for keyword in sorted(UNSUPPORTED & part.keys()):
            if keyword != "uniqueItems" or part[keyword] is not False:
                raise UnsupportedByTarget(
                    f"The JSON Schema keyword '{keyword}' at {pointer or 'the root'} is not supported.",
                    capability=keyword,
                    param=f"{PARAM}{pointer}/{escape(keyword)}",
                )
        part.pop("uniqueItems", None)  # false is the default, and llguidance refuses the word
        _check_reference(schema, pointer, part.get("$ref"))
    return schema


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


def _check_least(part: Json, pointer: str) -> None:
    """Refuses what llguidance cannot hold: it counts members, and {"x": 1, "x": 2} has two, but one property.

    Required names come once each, so one free name more than those is certain, and no more.
    """
    least, required = part.get("minProperties"), part.get("required")
    certain = 1 + (len({str(name) for name in cast("list[object]", required)}) if isinstance(required, list) else 0)
    if isinstance(least, int | float) and least > certain:
        message = f"minProperties at {pointer or 'the root'} is {least}; {certain} can be held."
        raise UnsupportedByTarget(message, capability="minProperties", param=f"{PARAM}{pointer}/minProperties")


def escape(name: str) -> str:
    """A name as a step of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def _common_multiple(multiple: int, divisor: object, pointer: str) -> int:
    """The least common multiple so far, of decimal digits alone: powers of ten cost nothing.

    llguidance makes one automaton of all that meet in a value, with as many states; it takes minutes for millions.
    """
    if isinstance(divisor, bool) or not isinstance(divisor, int | float) or not 0 < divisor < _HUGE:
        return multiple  # nothing to enforce, or llguidance says what is wrong
    digits = int("".join(map(str, Decimal(str(divisor)).as_tuple().digits)))
    while digits % 10 == 0:
        digits //= 10
    found = math.lcm(multiple, digits)
    if found > MAX_MULTIPLE:
        message = f"The schema's multiples are too fine together: their least common one is beyond {MAX_MULTIPLE}."
        raise UnsupportedByTarget(message, capability="multipleOf", param=f"{PARAM}{pointer}/multipleOf")
    return found


def _parse(text: str) -> object:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise BadRequest(f"The JSON schema is longer than {MAX_BYTES // 1024} KiB.", param=PARAM)
    too_deep = BadRequest(f"The JSON schema nests deeper than {MAX_DEPTH}.", param=PARAM)
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


def _check_reference(schema: object, pointer: str, reference: object) -> None:
    """A `$ref` must lead to a place in this very schema: nothing is fetched."""
    if reference is None:
        return
    if isinstance(reference, str) and (reference == "#" or reference.startswith("#/")):
        place = schema
        for step in reference.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            place = cast("Json", place).get(name) if isinstance(place, dict) else None
        if isinstance(place, dict | bool):
            return
    message = f"The reference {json.dumps(reference)} does not lead to a schema in this JSON schema."
    raise BadRequest(message, param=f"{PARAM}{pointer}/$ref")
