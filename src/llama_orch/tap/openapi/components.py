# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemas and the refusals of the document, each by a name of its own and referred to."""

from __future__ import annotations

from typing import Any, cast

from llama_orch.wire.shapes import Schema

_LOCAL = "#/$defs/"
_HERE = "#/components/schemas/"


class Components:
    """`schemas` fills as `refer` is called, `responses` as `refuse` is."""

    def __init__(self) -> None:
        self.schemas: dict[str, object] = {}
        self.responses: dict[str, object] = {}

    def refuse(self, name: str, response: dict[str, object]) -> Schema:
        """A reference to `response`, which stands in the document as `name`."""
        self.responses.setdefault(name, response)
        return {"$ref": f"#/components/responses/{name}"}

    def refer(self, name: str, schema: Schema) -> Schema:
        """A reference to `schema`, which stands in the document as `name`; its own `$defs` as `name` and theirs."""
        if name not in self.schemas:
            self.schemas[name] = {}  # a schema may mean itself
            definitions = cast("dict[str, Schema]", schema.get("$defs", {}))
            for inner, definition in definitions.items():
                self.schemas[f"{name}{inner}"] = _moved(definition, name)
            self.schemas[name] = _moved({key: value for key, value in schema.items() if key != "$defs"}, name)
        return {"$ref": _HERE + name}


def _moved(value: Any, name: str) -> Any:
    """`value` with its references to `$defs` led to where those are now."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: _led(each, name) if key == "$ref" else _moved(each, name) for key, each in members.items()}
    if isinstance(value, list):
        return [_moved(each, name) for each in cast("list[Any]", value)]
    return value


def _led(reference: Any, name: str) -> Any:
    if isinstance(reference, str) and reference.startswith(_LOCAL):
        return f"{_HERE}{name}{reference.removeprefix(_LOCAL)}"
    if reference == "#":
        return _HERE + name
    return _moved(reference, name)  # a property that happens to be called $ref
