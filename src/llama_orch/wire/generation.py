# SPDX-License-Identifier: GPL-3.0-or-later
"""What every generating dialect boils down to: one neutral request, and the parts of one answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llama_orch_utils.types import Usage

Turn = dict[str, str]
"""One turn of a conversation for the chat template: `role`, `content`, and where given `name` and the like."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation, to be rendered by the model's chat template.

    `prefill` is the beginning of the answer, when the last message was the assistant's: the model goes on from there.
    """

    turns: tuple[Turn, ...]
    prefill: str | None = None


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt that goes to the model as it is."""

    text: str


Prompt = Chat | Text


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
    """One request for one answer. `model` None: whichever is served; `max_tokens` None: until the context ends.

    `schema_at` is the JSON pointer of the schema in the dialect's own body, for errors that name a keyword of it.
    """

    prompt: Prompt
    model: str | None = None
    stream: bool = False
    include_usage: bool = False
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    cache: bool = True
    sampling: SamplingWish = field(default_factory=SamplingWish)
    schema_at: str = "/response_format/schema"


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
    """What every part of one answer repeats: its id, the model's id, when it began (Unix seconds)."""

    id: str
    model: str
    created: int


@dataclass(frozen=True, slots=True)
class Whole:
    """A finished answer. `finish_reason` is `stop` or `length`; `logprobs` None: none were asked for."""

    text: str
    finish_reason: str
    usage: Usage
    logprobs: tuple[TokenLogprob, ...] | None = None
