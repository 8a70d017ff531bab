# SPDX-License-Identifier: GPL-3.0-or-later
"""What many schemas have in common, said once: that halves the document, and the types that are made from it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

_HERE = "#/components/schemas/"
_LEAST = 300
"""Characters of JSON from which a repeated schema is worth a name."""


def shared(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """The same schemas; whatever stands in them twice has a place of its own (`Part1`, `Part2` …) and is referred to.

    A part that is a named schema already is referred to by that name.
    """
    return _Sharing(schemas).schemas


class _Sharing:
    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._names: dict[str, str] = {}
        for name, schema in schemas.items():
            self._names.setdefault(_text(schema), name)
        self._counts: Counter[str] = Counter()
        for schema in schemas.values():
            self._count(schema)
        self.schemas: dict[str, Any] = {}
        for name, schema in schemas.items():
            first = self._names[_text(schema)]
            self.schemas[name] = self._inside(schema) if first == name else {"$ref": _HERE + first}

    def _count(self, value: Any) -> None:
        """Counts the schemas within `value`; what stands in a repeated one is not repeated by that."""
        if _is_schema(value):
            text = _text(value)
            self._counts[text] += 1
            if self._counts[text] > 1:
                return
        if isinstance(value, dict | list):
            inner = cast("dict[str, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
            for each in inner:
                self._count(each)

    def _inside(self, value: Any) -> Any:
        """`value` with its parts replaced, itself as it is."""
        if isinstance(value, dict):
            return {key: self._placed(each) for key, each in cast("dict[str, Any]", value).items()}
        if isinstance(value, list):
            return [self._placed(each) for each in cast("list[Any]", value)]
        return value

    def _placed(self, value: Any) -> Any:
        if not _is_schema(value):
            return self._inside(value)
        text = _text(value)
        name = self._names.get(text)
        if name is None and len(text) >= _LEAST and self._counts[text] > 1:
            name = self._names[text] = f"Part{sum(each.startswith('Part') for each in self.schemas) + 1}"
            self.schemas[name] = {}  # taken, while its own parts are placed
            self.schemas[name] = self._inside(value)
        return self._inside(value) if name is None else {"$ref": _HERE + name}


def _is_schema(value: Any) -> bool:
    """Whether it looks like one: a map of properties may have a `type`, but that is no word."""
    if not isinstance(value, dict):
        return False
    members = cast("dict[str, Any]", value)
    return isinstance(members.get("type"), str) or isinstance(members.get("anyOf"), list)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
