# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a Lark grammar (llguidance's dialect) as they are collected."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

from llama_orch.formats.form import Array, CallForm, Object, Slot
from llama_orch.formats.parameters import is_raw, part_of, unheld, written_as_elements
from llama_orch.formats.tool import ToolSpec, of_object
from llama_orch_utils.errors import UnsupportedByTarget

_SPACE = r"(?:\n? {0,8})"
"""White space of a layout as models write it; without bounds an unsure model loses itself in it."""


class Rules:
    """Rules by name. Marks and schemas that are asked for twice are one rule."""

    def __init__(self) -> None:
        self._rules: dict[str, str] = {"ws": r"/\n{1,2} {0,8}| {1,8}/?"}
        self._marks: dict[tuple[str, str], str] = {}
        self._insets: dict[tuple[str, str, bool], str] = {}
        self._checked: dict[tuple[str, str, bool], None] = {}

    def add(self, name: str, body: str) -> str:
        """A rule under this name; the name."""
        self._rules[name] = body
        return name

    def fresh(self, stem: str, body: str) -> str:
        """A rule under a name that none has yet; the name."""
        return self.add(f"{stem}_{len(self._rules)}", body)

    def mark(self, text: str) -> str:
        """A mark: a control token where the vocabulary has one of this name, else its text."""
        return self._mark("mark", text)

    def upto(self, text: str) -> str:
        """Any text, and the mark at its end."""
        return self._mark("upto", text)

    def _mark(self, kind: str, text: str) -> str:
        known = self._marks.get((kind, text))
        if known is None:
            name = f"{kind}_{len(self._marks)}"
            known = self._marks[kind, text] = self.add(name, json.dumps(text, ensure_ascii=False))
        return known

    def schema(self, schema: Mapping[str, object], where: str, *, loose: bool) -> str:
        """A value of this JSON Schema; `loose`: what cannot be held of it is left out."""
        return self.inset(json.dumps(schema, ensure_ascii=False), where, loose=loose)

    def inset(self, text: str, where: str, *, loose: bool = False) -> str:
        """A value of the JSON Schema that `text` is."""
        return self._insets.setdefault((text, where, loose), f"inset_{len(self._insets)}")

    def text(self) -> str:
        """The grammar, without the rules of the schemas."""
        return "".join(f"{name}: {body}\n" for name, body in self._rules.items())

    def insets(self) -> tuple[tuple[str, str, str, bool], ...]:
        """The schemas: rule, text, JSON pointer, whether loose. Those without a rule are only to be checked."""
        return tuple(("", *one) for one in self._checked) + tuple((rule, *one) for one, rule in self._insets.items())

    def calls(self, form: CallForm, tools: Sequence[ToolSpec], *, parallel: bool) -> str:
        """One call, or several where they may be `parallel`, with all that encloses them."""
        array = next((step for step in form.steps if isinstance(step, Array)), None)
        if array is not None:
            items = [self.fresh("item", self.object(array.item, tool)) for tool in tools]
            item = self.fresh("item", " | ".join(items))
            body = f'"[" ws {item}' + (f' ("," ws {item})*' if parallel else "") + ' ws "]"'
            calls = " ".join(body if step is array else self.literal(cast("str", step)) for step in form.steps)
        else:
            call = self.fresh("call", " | ".join(self.fresh("call", self.call(form, tool)) for tool in tools))
            calls = f"{call} ({self.literal(form.between)} {call})*" if parallel else call
        return " ".join(part for part in (self.literal(form.before), calls, self.literal(form.after)) if part)

    def call(self, form: CallForm, tool: ToolSpec) -> str:
        """One call of one tool."""
        return " ".join(part for step in form.steps if (part := self._step(step, tool)))

    def _step(self, step: object, tool: ToolSpec) -> str:
        if isinstance(step, str):
            return self.literal(step)
        if isinstance(step, Object):
            return self.object(step, tool)
        if step is Slot.NAME:
            return json.dumps(tool.name)
        if step is Slot.ARGUMENTS:
            return self.arguments(tool)
        return self.elements(tool)

    def arguments(self, tool: ToolSpec) -> str:
        """The tool's arguments: a JSON object of its schema."""
        return self.schema(of_object(tool), tool.where, loose=tool.strict is not True)

    def object(self, form: Object, tool: ToolSpec) -> str:
        """A JSON object with the tool's name and arguments of its schema."""
        name, key = re.escape(tool.name), form.key(form.arguments)
        head = form.head.replace(r"\s*", _SPACE)
        begin = (
            rf'\{{{_SPACE}{head}{form.key(form.name)}{_SPACE}:{_SPACE}"{name}"{_SPACE},{_SPACE}{key}{_SPACE}:{_SPACE}'
        )
        return f"/{begin}/ {self.arguments(tool)} /{_SPACE}\\}}/"

    def elements(self, tool: ToolSpec) -> str:
        """The tool's arguments as XML elements, in the order of its schema.

        Raises UnsupportedByTarget for what a strict tool's schema says of the object as a whole: no grammar of elements
        holds that.
        """
        loose = tool.strict is not True
        self._checked[json.dumps(of_object(tool), ensure_ascii=False), tool.where, loose] = None
        if not loose:
            _refuse_unheld(tool)
        parts: list[str] = []
        for key, pointer, schema, required in written_as_elements(tool.parameters):
            begin = f"{self.mark('<parameter=')} {json.dumps(key + '>', ensure_ascii=False)}"
            if is_raw(schema):
                value = self.upto("</parameter>")
            else:
                inset = self.schema(part_of(tool.parameters, schema), tool.where + pointer, loose=loose)
                value = f"ws {inset} ws {self.mark('</parameter>')}"
            element = f"{begin} {value} ws"
            parts.append(element if required else f"({element})?")
        return " ".join(parts)

    def literal(self, text: str) -> str:
        """A text; the white space at its ends is the model's to choose."""
        core = text.strip()
        if not core:
            return "ws" if text else ""
        body = self.mark(core) if core[0] in "<[" and len(core) > 1 else json.dumps(core, ensure_ascii=False)
        lead, tail = ("ws " if text[0].isspace() else ""), (" ws" if text[-1].isspace() else "")
        return f"{lead}{body}{tail}"


def _refuse_unheld(tool: ToolSpec) -> None:
    found = unheld(tool.parameters)
    if found is None:
        return
    keyword, pointer = found
    raise UnsupportedByTarget(
        f"The JSON Schema keyword '{keyword}' cannot be held here: this model writes arguments as XML elements.",
        capability=keyword,
        param=tool.where + pointer,
        hint=f"leave out {pointer} of the schema, or strict",
    )
