# SPDX-License-Identifier: Apache-2.0
"""The wording of an applet: Markdown files beside the code, for whoever does not program.

`{name}` and `{name.field}` stand for values, `{{` and `}}` for braces. A value is put in as it is: what it holds is
never looked at for placeholders. A line with a text of the
brand (`{brand.name}`) is left out where that text is not set.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, cast

from llama_orch_utils.errors import AppletError

FOLDER, SUFFIX = "prompts", ".md"
_PLACE = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*")
_COMMENT = re.compile(r"\A<!--.*?-->\s*", re.DOTALL)
ALWAYS = frozenset({"brand"})
_SLOTS = "or add it to slots under [brand] in applet.toml"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt's text, and the placeholders in it, with their dots."""

    name: str
    text: str
    places: frozenset[str]

    def fill(self, values: Mapping[str, Any]) -> str:
        """The prompt with `values`. Raises AppletError for a placeholder that has none."""
        lines: list[str] = []
        left_out = shorter = False
        for line in self.text.split("\n"):
            written = self._line(line, values)
            if written is None:
                left_out = shorter = True
            elif not (left_out and not line.strip() and (not lines or not lines[-1].strip())):  # one gap, not two
                lines.append(written)
                left_out = False
        return "\n".join(lines).strip("\n") if shorter else "\n".join(lines)

    def _line(self, line: str, values: Mapping[str, Any]) -> str | None:
        """The line; None where it is about a text that the brand does not have."""
        parts: list[str] = []
        for literal, place, _, _ in Formatter().parse(line):
            parts.append(literal)
            if place is not None:
                written = _written(self._value(place, values))
                if not written and place.partition(".")[0] in ALWAYS:
                    return None
                parts.append(written)
        return "".join(parts)

    def _value(self, place: str, values: Mapping[str, Any]) -> Any:
        root, *fields = place.split(".")
        if root not in values:
            raise AppletError(f"prompt {self.name}: nothing was given for {{{place}}}", hint="pass it to prompt()")
        value: Any = values[root]
        for field in fields:
            if isinstance(value, Mapping):
                value = cast("Mapping[str, Any]", value).get(field)
            elif field in _fields(cast("object", value)):
                value = getattr(value, field)
            else:
                raise AppletError(
                    f"prompt {self.name}: {{{place}}} is not in what was given", hint=f"see prompts/{self.name}.md"
                )
        return value


class Prompts:
    """The prompts of one applet, by name."""

    def __init__(
        self,
        texts: Mapping[str, str],
        allowed: Mapping[str, Collection[str]],
        always: Collection[str],
        slots: Collection[str] | None = None,
    ) -> None:
        """`allowed` placeholders by prompt, `always` those of every one, `slots` those of the brand (None: any).

        Raises AppletError for any other.
        """
        self._prompts = {name: _parsed(name, text) for name, text in texts.items()}
        for name in allowed:
            if name not in self._prompts:
                raise AppletError(f"applet.toml names a prompt {name}, and there is no prompts/{name}.md")
        for prompt in self._prompts.values():
            known = {*allowed.get(prompt.name, ()), *always, *ALWAYS}
            for place in sorted(prompt.places):
                root, _, slot = place.partition(".")
                if root not in known:
                    raise _unknown(prompt, place, known)
                if root in ALWAYS and slots is not None and slot not in slots:
                    raise _unknown(prompt, place, {f"{root}.{each}" for each in slots}, _SLOTS)

    def __getitem__(self, name: str) -> Prompt:
        if name not in self._prompts:
            raise AppletError(f"there is no prompt {name}", hint=f"write prompts/{name}.md")
        return self._prompts[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(sorted(self._prompts))


def _parsed(name: str, text: str) -> Prompt:
    text = _COMMENT.sub("", text).strip()
    places: set[str] = set()
    try:
        for _, place, form, conversion in Formatter().parse(text):
            if place is not None:
                if not _PLACE.fullmatch(place) or form or conversion:
                    raise ValueError(f"{{{place}}} is no placeholder")  # noqa: TRY301 - one place turns it into words
                places.add(place)
    except ValueError as error:
        raise AppletError(
            f"prompts/{name}.md: {error}", hint="a placeholder is {name} or {name.field}; write {{ for a brace"
        ) from error
    return Prompt(name, text, frozenset(places))


def _unknown(prompt: Prompt, place: str, known: Collection[str], more: str = "") -> AppletError:
    line = next((n for n, each in enumerate(prompt.text.splitlines(), 1) if f"{{{place}}}" in each), 1)
    return AppletError(
        f"prompts/{prompt.name}.md, line {line}: nobody fills in {{{place}}}",
        hint="; ".join(filter(None, (f"there are: {', '.join(sorted(known)) or 'none'}", more))),
    )


def _fields(value: object) -> Collection[str]:
    """The names of a model's or a dataclass's fields: nothing else of an object is for prompts."""
    kind: Any = type(value)
    return [*getattr(kind, "model_fields", ()), *getattr(kind, "__dataclass_fields__", ())]


def _written(value: Any) -> str:
    if value is None:
        return ""
    if hasattr(value, "model_dump_json"):
        return str(value.model_dump_json(indent=2))
    if isinstance(value, (list, tuple)):
        return "\n".join(f"- {each}" for each in value)  # pyright: ignore[reportUnknownVariableType]
    return str(value)
