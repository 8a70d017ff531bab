# SPDX-License-Identifier: Apache-2.0
"""The columns that a user names: the short form, or a JSON Schema; and the model that holds an answer to them."""

from __future__ import annotations

import json
from typing import Any, Literal, cast

from pydantic import BaseModel, Field, create_model

from llama_orch_utils.errors import BadRequest
from llama_orch_utils.structured.concise import read

Schema = dict[str, Any]
_KINDS: dict[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool}
_BOUNDS = {"minimum": "ge", "maximum": "le"}
_LIMITS: dict[Any, dict[str, str]] = {str: {"maxLength": "max_length"}, int: _BOUNDS, float: _BOUNDS}
_HINT = "name, total number, paid bool: whether it is settled"
_MOST_COLUMNS, _MOST_ROWS = 60, 50
_KNOWN = frozenset({"type", "description", "enum", "title", "maxLength", "minimum", "maximum", "format", "examples"})


def columns_of(text: str) -> dict[str, Schema]:
    """Each column's schema by its name. Raises BadRequest with the pointer to what cannot be a column."""
    schema = _parsed(text) if text.lstrip().startswith("{") else read(text)
    properties: Any = schema.get("properties")
    if schema.get("type", "object") != "object" or not isinstance(properties, dict) or not properties:
        raise _wrong("/properties", "the schema must be an object's, with properties")
    found = cast("dict[str, Any]", properties)
    if len(found) > _MOST_COLUMNS:
        raise _wrong("/properties", f"there are more than {_MOST_COLUMNS} columns")
    for name, column in found.items():
        _check(name, column)
    return found


def shape_of(columns: dict[str, Schema]) -> type[BaseModel]:
    """An answer: `rows`, each with all the columns, each of which may be null."""
    fields: dict[str, Any] = {}
    for at, (name, column) in enumerate(columns.items()):
        kind = cast("Any", Literal)[tuple(column["enum"])] if "enum" in column else _KINDS[_type(column)]
        limits = (
            {ours: column[theirs] for theirs, ours in _LIMITS[kind].items() if theirs in column}
            if kind in _LIMITS
            else {}
        )
        # The user's name goes over the wire; pydantic's own must be an identifier that nothing else has.
        fields[f"c{at}"] = (kind | None, Field(alias=name, description=column.get("description"), **limits))
    row = create_model("Row", **fields)
    rows: Any = list[row]
    return create_model("Table", rows=(rows, Field(max_length=_MOST_ROWS)))


def wanted(columns: dict[str, Schema]) -> str:
    """The columns in words."""
    return "\n".join(f"- {name} ({_words(column)})" for name, column in columns.items())


def _words(column: Schema) -> str:
    kind = f"one of {', '.join(map(str, column['enum']))}" if "enum" in column else _type(column)
    said = column.get("description")
    return f"{kind}: {said}" if said else kind


def _parsed(text: str) -> Schema:
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise _wrong("", f"the schema is no JSON: {error}") from error
    return cast("Schema", schema)


def _check(name: str, column: Any) -> None:
    at = f"/properties/{name.replace('~', '~0').replace('/', '~1')}"
    if not isinstance(column, dict):
        raise _wrong(at, "a column's schema must be an object")
    schema = cast("Schema", column)
    if unknown := sorted(set(schema) - _KNOWN):
        raise _wrong(f"{at}/{unknown[0]}", f"a cell of a table cannot have {unknown[0]}")
    for limit in ("maxLength", *_BOUNDS):
        if limit in schema and type(schema[limit]) not in ((int,) if limit == "maxLength" else (int, float)):
            raise _wrong(f"{at}/{limit}", f"{limit} must be a number")
    if "enum" in schema:
        values = schema["enum"]
        if not isinstance(values, list) or not values or not all(isinstance(each, str) for each in cast("Any", values)):
            raise _wrong(f"{at}/enum", "enum must be a list of texts")
    elif _type(schema) not in _KINDS:
        raise _wrong(f"{at}/type", f"a cell is one of {', '.join(_KINDS)}")


def _type(column: Schema) -> str:
    kind = column.get("type", "string")
    if isinstance(kind, list):  # ["string", "null"]: every cell may be null anyway
        kinds = [each for each in cast("list[Any]", kind) if each != "null"]
        kind = kinds[0] if len(kinds) == 1 else ""
    return str(kind)


def _wrong(pointer: str, words: str) -> BadRequest:
    return BadRequest(words, param=f"/columns{pointer}", hint=f"--columns '{_HINT}'")
