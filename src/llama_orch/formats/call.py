# SPDX-License-Identifier: GPL-3.0-or-later
"""One call, read by its form as its text comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator

from llama_orch.formats.form import Array, CallForm, Object, Slot
from llama_orch.formats.parameters import is_raw, property_of, schema_of
from llama_orch.formats.tape import Mismatch, Tape, Wait

_BESIDES = frozenset(("type", "id", "tool_call_id"))
"""What may stand beside the name and the arguments of a call that no mark announces."""
Begin = Callable[[str], Callable[[str], None]]
"""Begins the call of a tool: what is returned takes its arguments' text."""


class CallReader:
    """Reads the calls of one form. `tools` are the tools' names, or a mapping from them to their schemas.

    `run` is a generator over the tape: it raises Mismatch where the text is no call, and calls `begin` once it is sure
    that it is one; from then on a Mismatch means that the call has ended, and `tape.rest` is what follows.
    """

    def __init__(self, form: CallForm, tools: Collection[str], begin: Begin) -> None:
        self.tape = Tape()
        self._form, self._tools, self._begin = form, tools, begin

    def run(self) -> Wait:
        """Reads one call, or one list of calls."""
        name = ""
        argue: Callable[[str], None] | None = None
        for step in self._form.steps:
            if isinstance(step, str):
                yield from self.tape.literal(step)
            elif isinstance(step, Object):
                yield from self._object(step)
            elif isinstance(step, Array):
                yield from self._array(step)
            elif step is Slot.NAME:
                name = yield from self.tape.name()
            elif step is Slot.ID:
                yield from self.tape.name()
            else:
                yield from self._settled(step)
                argue = self._called(name)
                yield from self._arguments(argue) if step is Slot.ARGUMENTS else self._parameters(name, argue)

    def _settled(self, step: Slot) -> Wait:
        """Arguments begin with a brace, or elements with a bracket: else this was no call."""
        first = yield from self.tape.peek()
        if not first:
            yield from self.tape.more()
        if step is Slot.ARGUMENTS and first not in '{"':
            raise Mismatch

    def _called(self, name: str) -> Callable[[str], None]:
        if self._form.bare and name not in self._tools:
            raise Mismatch
        return self._begin(name)

    def _array(self, array: Array) -> Wait:
        yield from self.tape.literal("[")
        while (yield from self.tape.peek()) != "]":
            yield from self._object(array.item)
            yield from self._comma()
        yield from self.tape.literal("]")

    def _object(self, form: Object) -> Wait:
        yield from self.tape.literal("{")
        yield from self._members(form, _Header())

    def _members(self, form: Object, header: _Header) -> Wait:
        while (yield from self.tape.peek()) != "}":
            key = yield from self.tape.string()
            yield from self.tape.literal(":")
            yield from self._member(form, header, key, (yield from self.tape.peek()))
            yield from self._comma()
        yield from self.tape.literal("}")
        if header.argued:
            return
        if header.name is None or (self._form.bare and header.held is None):
            raise Mismatch
        self._called(header.name)(header.held or "{}")
        header.argued = True

    def _member(self, form: Object, header: _Header, key: str, first: str) -> Wait:
        if key in form.name and header.name is None and first == '"':
            header.name = yield from self.tape.string()
            if self._form.bare and header.name not in self._tools:
                raise Mismatch
        elif key == "function" and header.name is None and first == "{":  # as OpenAI nests it
            yield from self.tape.literal("{")
            yield from self._members(form, header)
        elif key in form.arguments and header.name is not None and not header.argued:
            header.argued = True
            argue = self._called(header.name)
            yield from self._arguments(argue)
        elif key in form.arguments and not header.argued:
            held: list[str] = []
            yield from self._arguments(held.append)
            header.held = "".join(held)
        elif self._form.bare and key not in _BESIDES:
            raise Mismatch
        else:
            yield from self.tape.value(_ignore)

    def _comma(self) -> Wait:
        if (yield from self.tape.peek()) == ",":
            self.tape.at += 1

    def _arguments(self, argue: Callable[[str], None]) -> Wait:
        """A JSON object; some models write it as a string that holds one, or leave it out by null."""
        if (yield from self.tape.peek()) == "{":
            yield from self.tape.value(argue)
            return
        raw: list[str] = []
        yield from self.tape.value(raw.append)
        argue(_unwrapped("".join(raw)))

    def _parameters(self, name: str, argue: Callable[[str], None]) -> Wait:
        """`<parameter=KEY>`, a line with the value, `</parameter>`, again and again."""
        schema = schema_of(self._tools, name)
        lead = "{"
        while (yield from self._at_parameter()):
            yield from self.tape.literal("<parameter=")
            key: list[str] = []
            yield from self.tape.until(">", key.append)
            argue(f"{lead}{json.dumps(''.join(key).strip(), ensure_ascii=False)}: ")
            lead = ", "
            yield from self._parameter(property_of(schema, "".join(key).strip()), argue)
        argue("{}" if lead == "{" else "}")

    def _at_parameter(self) -> Generator[None, None, bool]:
        yield from self.tape.space()
        while "<parameter=".startswith(rest := self.tape.rest[: len("<parameter=")]) and rest != "<parameter=":
            yield from self.tape.more()
        return rest == "<parameter="

    def _parameter(self, schema: object, argue: Callable[[str], None]) -> Wait:
        if is_raw(schema):
            text = _Quoted(argue)
            argue('"')
            yield from self.tape.until("</parameter>", text.push)
            text.close()
            argue('"')
            return
        raw: list[str] = []
        yield from self.tape.until("</parameter>", raw.append)
        while _is_cut("".join(raw)):  # the mark stands in a JSON string
            raw.append("</parameter>")
            yield from self.tape.until("</parameter>", raw.append)
        argue(_typed("".join(raw)))


class _Header:
    """What is known of a call while its object is read."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.held: str | None = None
        self.argued = False


class _Quoted:
    """Text as the inside of a JSON string, without the line end that stands at either end of it."""

    def __init__(self, argue: Callable[[str], None]) -> None:
        self._argue = argue
        self._held = ""
        self._begun = False

    def push(self, text: str) -> None:
        if not self._begun:
            self._begun = True
            text = text.removeprefix("\n")
        text = self._held + text
        self._held = "\n" if text.endswith("\n") else ""
        self._write(text.removesuffix("\n"))

    def close(self) -> None:
        self._held = ""

    def _write(self, text: str) -> None:
        if text:
            self._argue(json.dumps(text, ensure_ascii=False)[1:-1])


def _typed(text: str) -> str:
    """A parameter's value as JSON: the JSON that it is, else a string."""
    inner = text.removeprefix("\n").removesuffix("\n")
    try:
        json.loads(inner)
    except ValueError:
        return json.dumps(inner, ensure_ascii=False)
    return inner.strip()


def _is_cut(text: str) -> bool:
    """Whether it is JSON that ends within a string."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated string")
    except ValueError:
        return False
    return False


def _unwrapped(raw: str) -> str:
    try:
        value: object = json.loads(raw, strict=False)
        if isinstance(value, str):
            json.loads(value)
            return value
    except ValueError:
        return "{}"
    return "{}" if value is None else raw


def _ignore(_: str) -> None:
    """Members that say nothing about the call."""
