# SPDX-License-Identifier: GPL-3.0-or-later
"""Grammars that hold an answer to the tools it may call: from its beginning, or from the first sign of a call on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llama_orch.formats.channel_grammar import ANALYSIS, ASIDES, TRIGGER, channel_rules, final_rules, free_rules
from llama_orch.formats.channels import MESSAGE, START
from llama_orch.formats.form import CallForm, Format, Object
from llama_orch.formats.rules import Rules
from llama_orch.formats.tool import ToolSpec, check_names
from llama_orch_utils.errors import BadRequest

Choice = Literal["none", "auto", "required", "named"]


@dataclass(frozen=True, slots=True)
class CallGrammar:
    """The engine's sampling fields of the same names. Empty `trigger` and `opening` None: it holds from the start."""

    lark: str
    insets: tuple[tuple[str, str, str, bool], ...]
    trigger: tuple[str, ...] = ()
    opening: str | None = None
    asides: tuple[tuple[str, str], ...] = ()

    def settings(self) -> dict[str, object]:
        """The fields by name, for `dataclasses.replace` of the engine's Sampling."""
        return {name: getattr(self, name) for name in ("lark", "insets", "trigger", "opening", "asides")}


@dataclass(frozen=True, slots=True)
class Answer:
    """The JSON Schema that text for the user has to keep to, as text, and the JSON pointer of it."""

    schema: str
    where: str = "/json_schema"


def grammar(
    form: Format,
    tools: Sequence[ToolSpec],
    choice: Choice,
    parallel: bool,  # noqa: FBT001 - the request's word for it
    thinking: bool,  # noqa: FBT001
    *,
    name: str | None = None,
    opened: str = "",
    answer: Answer | None = None,
) -> CallGrammar | None:
    """What holds an answer to these tools; None where there is nothing to hold (`none`, or no tools; no `answer`).

    `named` takes the tool of that `name` (without one: the only tool). `thinking`: thoughts may come first; `opened`
    is the prompt's end, which may have begun one. With `answer`, what is no call is JSON of that schema. Raises
    BadRequest with the JSON pointer of a tool's name.
    """
    check_names(tools)
    if choice == "named":
        tools = [tool for tool in tools if name is None or tool.name == name]
        if not tools:
            raise BadRequest(f"No tool is named {name}.", param="/tool_choice", hint="name one of the request's tools")
    if choice == "none":
        tools = ()
    if not tools and answer is None:
        return None
    if choice == "auto" and answer is None:
        return _free(form, tools, parallel=parallel, opened=opened)
    return _held(form, tools, answer if choice in ("auto", "none") else None, parallel, thinking, opened)


def thoughts(form: Format, opened: str) -> tuple[tuple[str, str], ...]:
    """The marks around this format's thoughts; an empty first one for the thought that the prompt's end has begun."""
    if form.channels:
        begun = opened.rpartition(START)[2] if START in opened else ""
        return (ANALYSIS, *((("", ANALYSIS[1]),) if begun.endswith("analysis" + MESSAGE) else ()))
    begun = _open_thought(form, opened)
    return form.thoughts + ((("", begun[1]),) if begun else ())


def _held(
    form: Format,
    tools: Sequence[ToolSpec],
    answer: Answer | None,
    parallel: bool,  # noqa: FBT001
    thinking: bool,  # noqa: FBT001
    opened: str,
) -> CallGrammar:
    rules = Rules()
    ways: list[str] = []
    if form.channels:
        lead, call = channel_rules(rules, tools, thinking=thinking, opened=opened)
        ways += [call] if call else []
    else:
        lead = _thought(rules, form, opened) if thinking else ""
        ways += [rules.calls(form.calls[0], tools, parallel=parallel)] if tools else []
    if answer is not None:
        inset = rules.inset(answer.schema, answer.where)
        ways.append(final_rules(rules, inset) if form.channels else inset)
    rules.add("start", f"{lead}({' | '.join(ways)})")
    return CallGrammar(rules.text(), rules.insets())


def _thought(rules: Rules, form: Format, opened: str) -> str:
    """A thought before anything else: the one that the prompt began must be ended, another one may be written."""
    begun = _open_thought(form, opened)
    if begun is not None:
        return f"{rules.upto(begun[1])} ws "
    if not form.thoughts:
        return ""
    begin, close = form.thoughts[0]
    return f"({rules.mark(begin)} {rules.upto(close)} ws)? "


def _free(form: Format, tools: Sequence[ToolSpec], *, parallel: bool, opened: str) -> CallGrammar:
    rules = Rules()
    if form.channels:
        rules.add("start", free_rules(rules, tools))
        begun = (("", ASIDES[0][1]),) if MESSAGE in opened.rpartition(START)[2] and START in opened else ()
        return CallGrammar(rules.text(), rules.insets(), (TRIGGER,), asides=ASIDES + begun)
    written = [one for one in form.calls if one.written]
    rules.add("start", " | ".join(rules.calls(one, tools, parallel=parallel) for one in written))
    trigger = tuple(dict.fromkeys(one.trigger for one in written if not one.bare))
    opening = next((_opening(one, tools) for one in written if one.bare), None)
    return CallGrammar(rules.text(), rules.insets(), trigger, opening, thoughts(form, opened))


def _open_thought(form: Format, opened: str) -> tuple[str, str] | None:
    """The marks of the thought that the prompt's end has begun."""
    return next((pair for pair in form.thoughts if opened.rstrip().endswith(pair[0])), None)


def _opening(form: CallForm, tools: Sequence[ToolSpec]) -> str:
    """How an answer begins that calls without a mark."""
    step = form.steps[0]
    assert isinstance(step, Object)
    names = "|".join(re.escape(tool.name) for tool in tools)
    return rf"\s*(\{{\s*{step.head}{step.key(step.name)}\s*:\s*\"(?:{names})\"\s*,\s*{step.key(step.arguments)}\s*:)"
