# SPDX-License-Identifier: Apache-2.0
"""The fields of an applet's input as its schema tells them: what each is for a command line and for a table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from llama_orch_utils.applets.schema import Runnable

Json = dict[str, Any]
Kind = Literal["document", "argument", "path", "flag", "choice", "list", "plain", "json"]
Plain = type[int | float | str]
PLAIN: dict[str, Plain] = {"integer": int, "number": float, "string": str}
PATHS = ("path", "file-path", "directory-path")


@dataclass(frozen=True, slots=True)
class InputField:
    """One field: its name, its schema with references followed, and whether it must be given."""

    name: str
    shape: Json
    required: bool

    @property
    def words(self) -> str:
        """What it is, for people."""
        return str(self.shape.get("description") or self.name.replace("_", " "))

    @property
    def kind(self) -> Kind:
        """A text of its own (document, argument), a path, a flag, one of some, many of a plain type, or JSON."""
        form, of = self.shape.get("format"), self.shape.get("type")
        if form == "document":
            return "document"
        if form == "argument":
            return "argument"
        if form in PATHS:
            return "path"
        if "enum" in self.shape or "const" in self.shape:
            return "choice"
        if of == "boolean":
            return "json" if self.shape.get("default") else "flag"
        if of == "array" and self.items.get("type") in PLAIN:
            return "list"
        return "plain" if of in PLAIN else "json"

    @property
    def by_place(self) -> bool:
        """Whether a command takes it by its place instead of by its name."""
        return self.kind in ("document", "argument")

    @property
    def items(self) -> Json:
        """The schema of one of many."""
        found = self.shape.get("items")
        return cast("Json", found) if isinstance(found, dict) else {}

    @property
    def plain(self) -> Plain:
        """The type of it, or of one of many."""
        shape = self.items if self.kind == "list" else self.shape
        return PLAIN.get(str(shape.get("type")), str)

    @property
    def choices(self) -> tuple[str, ...]:
        """What it may be, where that is a list."""
        return tuple(map(str, self.shape.get("enum", (self.shape.get("const"),)))) if self.kind == "choice" else ()

    def of_cell(self, text: str) -> Any:
        """What a cell of a table says; None: nothing. Raises ValueError for JSON that is none."""
        if not text and not (self.required and self.kind in ("plain", "document", "argument")):
            return None
        if self.kind == "list" and not text.lstrip().startswith("["):
            return [each.strip() for each in text.split(";") if each.strip()]
        return json.loads(text) if self.kind in ("list", "json") else text


def fields_of(applet: Runnable) -> tuple[InputField, ...]:
    """The fields of its input, in their order."""
    shape = cast("Json", applet.schema()["input"])
    required = cast("list[str]", shape.get("required", ()))
    found = cast("dict[str, Json]", shape.get("properties", {}))
    return tuple(InputField(name, _resolved(each, shape), name in required) for name, each in found.items())


def _resolved(shape: Json, root: Json) -> Json:
    """A field's schema: references followed, and `null` left out where it may be left out."""
    default = {"default": shape["default"]} if "default" in shape else {}
    said = {"description": shape["description"]} if "description" in shape else {}
    if reference := shape.get("$ref"):
        found: Any = root
        for step in str(reference).removeprefix("#/").split("/"):
            found = found[step]
        return {**cast("Json", found), **default, **said}
    options = [each for each in cast("list[Json]", shape.get("anyOf", ())) if each.get("type") != "null"]
    if len(options) == 1:
        outer = {name: value for name, value in shape.items() if name != "anyOf"}
        return {**outer, **_resolved(options[0], root), **default, **said}
    return shape
