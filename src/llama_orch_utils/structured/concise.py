# SPDX-License-Identifier: Apache-2.0
"""The short form of a schema that people type: `name, age int, bio: a short biography`.

It is that of the `llm` command: fields between commas or on lines of their own, each a name, a type (str unless given;
int, float, bool), and after a colon what it is.
"""

from __future__ import annotations

import re
from typing import Any

from llama_orch_utils.errors import BadRequest

TYPES = {
    "str": "string", "string": "string", "int": "integer", "integer": "integer", "float": "number", "number": "number",
    "bool": "boolean", "boolean": "boolean",
}  # fmt: skip
_FIELD = re.compile(r"(?P<name>[^\W\d]\w*)(?:\s+(?P<type>\w+))?\s*(?::\s*(?P<words>.*))?", re.DOTALL)
_EXAMPLE = "name, age int, bio: a short biography"


def looks_concise(text: str) -> bool:
    """Whether `text` can be meant as the short form: it begins with a field, and is no name of a JSON file."""
    first = re.split(r"[,\n]", text.strip(), maxsplit=1)[0].strip()
    return _FIELD.fullmatch(first) is not None


def read(text: str) -> dict[str, Any]:
    """The JSON Schema of an object with these fields, all required. Raises BadRequest with the field in `param`."""
    properties: dict[str, Any] = {}
    # On lines of their own, fields may have commas in what they say.
    fields = text.strip().splitlines() if "\n" in text.strip() else text.split(",")
    for field in (each.strip().rstrip(",") for each in fields):
        if not field:
            continue
        match = _FIELD.fullmatch(field)
        kind = TYPES.get((match["type"] or "str").lower()) if match else None
        if match is None or kind is None:
            raise BadRequest(
                f"'{field}' is no field of a schema: a name, then str, int, float or bool, then a colon and what it is",
                param=f"/{field.split()[0]}",
                hint=f"--schema '{_EXAMPLE}'",
            )
        if match["name"] in properties:
            raise BadRequest(f"the field {match['name']} comes twice", param=f"/{match['name']}", hint=_EXAMPLE)
        words = (match["words"] or "").strip()
        properties[match["name"]] = {"type": kind, **({"description": words} if words else {})}
    if not properties:
        raise BadRequest("the schema has no field", hint=f"--schema '{_EXAMPLE}'")
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
