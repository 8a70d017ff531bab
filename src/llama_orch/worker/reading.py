# SPDX-License-Identifier: GPL-3.0-or-later
"""How a model's answer to a conversation is held and read: its format, the tools it may call, whether it may think."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llama_orch import formats
from llama_orch.wire.generation import Generation, ToolWish
from llama_orch.wire.json_body import Json
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from llama_orch.engine.records import Sampling


@dataclass(frozen=True, slots=True)
class Reading:
    """`tools` are their schemas by name, None where no call is looked for; `thinks`: thoughts are looked for.

    `opened` is the prompt's text, whose end the answer continues; `settings` are the fields of the engine's sampling by
    which a grammar holds the answer, `budget` how many tokens of thought it may have.
    """

    form: formats.Format
    tools: Mapping[str, Mapping[str, Json]] | None
    thinks: bool
    opened: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    budget: int | None = None

    def parser(self) -> formats.Parser:
        """A parser for one answer."""
        return formats.Parser(self.form, tools=self.tools, thinking=self.thinks, opened=self.opened)

    def held(self, sampling: Sampling) -> Sampling:
        """The sampling with the grammar, which has the schema of the answer in it, if there is one, and the budget."""
        if self.settings:
            sampling = replace(sampling, json_schema=None, **self.settings)
        if self.budget is None or not self.thinks:
            return sampling
        return replace(sampling, most_thought=self.budget, thoughts=formats.thoughts(self.form, self.opened))


@lru_cache(maxsize=4)
def form_of(template: str | None) -> formats.Format:
    """The format of the models with this chat template."""
    return formats.find(template)


def specs_of(wish: ToolWish | None) -> list[formats.ToolSpec]:
    """The tools that the model is told about; none where it must not call any."""
    if wish is None or wish.choice == "none":
        return []
    return [
        formats.ToolSpec(tool.name, tool.description, tool.parameters, tool.where, tool.strict) for tool in wish.tools
    ]


def reading_of(form: formats.Format, template: str | None, generation: Generation, opened: str) -> Reading:
    """How answers that continue `opened` are read. Raises BadRequest for what excludes tools."""
    wish, specs = generation.tools, specs_of(generation.tools)
    schema = generation.sampling.json_schema
    if generation.sampling.grammar is not None:
        if specs:
            raise BadRequest("grammar and tools exclude each other", param="/grammar", hint="leave one of them out")
        return Reading(form, None, thinks=False, opened=opened)
    may_think = generation.thinking is None or generation.thinking.enabled is not False
    if schema is not None and not specs and not form.channels and not (may_think and _thinks(form, template, opened)):
        # The answer is held from its first token on: what looks like a thought in it is none.
        return Reading(form, None, thinks=False, opened=opened)
    answer = None if schema is None else formats.Answer(schema)
    choice, parallel, name = ("none", True, None) if wish is None else (wish.choice, wish.parallel, wish.name)
    found = formats.grammar(form, specs, choice, parallel, may_think, name=name, opened=opened, answer=answer)
    tools = {tool.name: tool.parameters for tool in wish.tools} if wish is not None and specs else None
    settings = {} if found is None else found.settings()
    budget = None if generation.thinking is None else generation.thinking.budget
    return Reading(form, tools, thinks=True, opened=opened, settings=settings, budget=budget)


def _thinks(form: formats.Format, template: str | None, opened: str) -> bool:
    """Whether models with this template think: it knows their marks."""
    return any(mark in (template or "") or mark in opened[-64:] for mark, _ in form.thoughts)
