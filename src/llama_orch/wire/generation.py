# SPDX-License-Identifier: GPL-3.0-or-later
"""What every generating dialect boils down to: one neutral request, and the parts of its answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from llama_orch.wire.json_body import Json
from llama_orch_utils.types import Usage

Turn = dict[str, Json]
"""One turn of a conversation, as chat templates know it.

`role` (system, user, assistant, tool) and `content` (a string; a list where a user shows images, see `wire.picture`);
where given also `name`, `tool_call_id`,
`reasoning_content` and `tool_calls`: `[{"type": "function", "id": …, "function": {"name": …, "arguments": {…}}}]`, with
the arguments as an object (templates print them with `tojson`).
"""

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call.

    `parameters` is its JSON Schema, `where` that schema's JSON pointer in the dialect's own body. `strict` None: the
    client did not say.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Json] = field(default_factory=dict[str, Json])
    strict: bool | None = None
    where: str = "/tools"

    def definition(self) -> dict[str, Json]:
        """As OpenAI writes it, which is what chat templates print."""
        function: dict[str, Json] = {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class ToolWish:
    """The tools of a request. `choice` is `none`, `auto`, `required`, or `named`: then `name` must be called."""

    tools: tuple[Tool, ...]
    choice: Literal["none", "auto", "required", "named"] = "auto"
    name: str | None = None
    parallel: bool = True


@dataclass(frozen=True, slots=True)
class Thinking:
    """How much a model that thinks is to think.

    `enabled` None: as its template has it; `effort` is none, minimal, low, medium, high or xhigh; `budget` the most
    tokens of thought (None: no limit of its own).
    """

    enabled: bool | None = None
    effort: str | None = None
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation, to be rendered by the model's chat template.

    `prefill` is the beginning of the answer, when the last message was the assistant's: the model goes on from there.
    `template` are further variables for the template (`chat_template_kwargs`).
    """

    turns: tuple[Turn, ...]
    prefill: str | None = None
    template: Mapping[str, Json] = field(default_factory=dict[str, Json])


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt that goes to the model as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """A prompt in the model's own token ids."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Infill:
    """What stands before and after the text that is wanted."""

    prefix: str
    suffix: str


Prompt = Chat | Text | Tokens | Infill


@dataclass(frozen=True, slots=True)
class SamplingWish:
    """What the client said about sampling; None: nothing. Names, units and ranges as the llama.cpp server has them."""

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repeat_last_n: int | None = None
    logit_bias: Mapping[int, float] | None = None
    seed: int | None = None
    grammar: str | None = None
    json_schema: str | None = None
    logprobs: int | None = None

    @property
    def constrained(self) -> bool:
        """Whether a grammar or a schema has to be compiled first."""
        return self.grammar is not None or self.json_schema is not None


@dataclass(frozen=True, slots=True)
class Generation:
    """One request. `model` None: whichever is served; `max_tokens` None: until the context ends.

    `prompts` has one member, more only where a dialect takes a batch; each gets `n` answers, and choice `i` of the
    answer belongs to prompt `i // n`; without any prompt nothing is generated. `echo` puts the prompt's text in front
    of each answer. `context` is how many tokens a sequence must hold (None: as many as there are). `adapters` are
    scales of LoRA adapters by number, all others 0 (None: as they were loaded). `repeats` is for the dialect alone:
    what its answer repeats of the request.

    For errors, JSON pointers into the dialect's own body: `schema_at` to the schema, `prompt_at` to the prompt (to the
    list, where there are several), `context_at` to `context`.
    """

    prompts: tuple[Prompt, ...]
    model: str | None = None
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    echo: bool = False
    cache: bool = True
    sampling: SamplingWish = field(default_factory=SamplingWish)
    schema_at: str = "/response_format/schema"
    prompt_at: str = "/messages"
    context: int | None = None
    context_at: str = ""
    tools: ToolWish | None = None
    thinking: Thinking | None = None
    adapters: Mapping[int, float] | None = None
    repeats: Mapping[str, Json] = field(default_factory=dict[str, Json])


class TokenLogprob(Protocol):
    """One token's log-probability and its rivals', as an engine reports it."""

    @property
    def text(self) -> bytes:
        """The token's bytes; not always whole code points."""
        ...

    @property
    def logprob(self) -> float:
        """Natural logarithm of its probability."""
        ...

    @property
    def top(self) -> Sequence[TokenLogprob]:
        """The most probable tokens at this place."""
        ...


@dataclass(frozen=True, slots=True)
class Head:
    """What every part of one answer repeats: its id, the model's id, when it began (Unix seconds).

    `temperature` and `top_p` are those that were used, None where nothing was sampled.
    """

    id: str
    model: str
    created: int
    temperature: float | None = None
    top_p: float | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call. `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One finished answer.

    `finish_reason` is `tool_calls` when it ended by calls; `stop` the stop string that ended it, if one did; `logprobs`
    None: none were asked for.
    """

    text: str
    finish_reason: FinishReason
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    stop: str | None = None
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds from the request's arrival: until its prompt was computed, until its answer was whole."""

    first: float
    total: float


@dataclass(frozen=True, slots=True)
class Whole:
    """A finished answer: its choices by index, and what they took together (a prompt is counted once)."""

    choices: tuple[Choice, ...]
    usage: Usage
    timing: Timing | None = None
