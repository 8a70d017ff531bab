# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments written as XML elements: which are plain text there, and which are JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

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


def written_as_elements(schema: Mapping[str, object]) -> list[tuple[str, str, object, bool]]:
    """The properties that can be written: key, JSON pointer, schema, whether it must be.

    Those of their own come first, then what is required beyond them. What no value fits is left out where it may be.
    """
    known, names = _properties(schema), _required(schema)
    found = [
        (key, f"/properties/{_escaped(key)}", part, key in names)
        for key, part in known.items()
        if part is not False or key in names
    ]
    more = schema.get("additionalProperties", True)
    return found + [(name, "/additionalProperties", more, True) for name in names if name not in known]


def part_of(schema: Mapping[str, object], part: object) -> Mapping[str, object]:
    """A part of a schema that can stand alone: what it may refer to comes along."""
    own: Mapping[str, object] = cast("Mapping[str, object]", part) if isinstance(part, Mapping) else {}
    kept = {name: schema[name] for name in _DEFINED if name in schema}
    if not _refers_beyond(own) and not _refers_beyond(kept):
        return {**own, **kept}
    named = kept.get("$defs")
    known: Mapping[str, object] = cast("Mapping[str, object]", named) if isinstance(named, Mapping) else {}
    root = next(name for name in (f"arguments{n or ''}" for n in range(len(known) + 1)) if name not in known)
    return cast("dict[str, Any]", _moved({**own, **kept, "$defs": {**known, root: _bare(schema)}}, root))


def unheld(schema: Mapping[str, object]) -> tuple[str, str] | None:
    """What of a schema a grammar of XML elements cannot hold: its keyword, and its JSON pointer; None: nothing.

    Elements are the schema's own properties, each at most once; what it says of the object as a whole is not looked at.
    """
    for keyword in ("$ref", "allOf", "anyOf", "oneOf", "enum", "const"):
        if keyword in schema:
            return keyword, f"/{keyword}"
    written = written_as_elements(schema)
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if isinstance(least, int | float) and least > sum(must for *_, must in written):
        return "minProperties", "/minProperties"
    if isinstance(most, int | float) and most < len(written):
        return "maxProperties", "/maxProperties"
    patterns = schema.get("patternProperties")
    if isinstance(patterns, Mapping) and patterns and written:
        return "patternProperties", "/patternProperties"
    for key, pointer, part, _ in written:
        if part is False or not _writable(key):
            return pointer.split("/")[1], pointer
    return None


_DEFINED = ("$defs", "definitions")
_INSIDE = tuple(f"#/{name}/" for name in _DEFINED)


def _properties(schema: Mapping[str, object]) -> Mapping[str, object]:
    properties = schema.get("properties")
    return cast("Mapping[str, object]", properties) if isinstance(properties, Mapping) else {}


def _required(schema: Mapping[str, object]) -> list[str]:
    names = schema.get("required")
    return list(dict.fromkeys(map(str, cast("list[object]", names)))) if isinstance(names, list) else []


def _writable(key: str) -> bool:
    """Whether a key is read from its mark as it was written."""
    return key == key.strip() and ">" not in key and key.isprintable()


def _bare(schema: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in schema.items() if name not in _DEFINED}


def _refers_beyond(value: object) -> bool:
    """Whether a reference in it leads to the root of its schema, or to a place there that is no definition."""
    if isinstance(value, Mapping):
        known = cast("Mapping[str, object]", value)
        return _is_beyond(known.get("$ref")) or any(map(_refers_beyond, known.values()))
    return isinstance(value, list) and any(map(_refers_beyond, cast("list[object]", value)))


def _is_beyond(reference: object) -> bool:
    return isinstance(reference, str) and reference[:1] == "#" and not reference.startswith(_INSIDE)


def _moved(value: object, root: str) -> object:
    """The same, with references to the root led to where it is kept now."""
    if isinstance(value, Mapping):
        found = {name: _moved(part, root) for name, part in cast("Mapping[str, object]", value).items()}
        reference = found.get("$ref")
        if isinstance(reference, str) and _is_beyond(reference):
            found["$ref"] = f"#/$defs/{root}{reference[1:]}"
        return found
    return [_moved(part, root) for part in cast("list[object]", value)] if isinstance(value, list) else value


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
