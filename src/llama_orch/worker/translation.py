# SPDX-License-Identifier: GPL-3.0-or-later
"""From the wire's neutral request to the engine's: template, tokens, sampling."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from llama_orch.engine.records import Request
from llama_orch.wire.generation import Generation, Prompt, SamplingWish, Text

if TYPE_CHECKING:  # the engine brings llama.cpp and numpy along: only the loading thread imports it
    from llama_orch.engine.engine import Engine
    from llama_orch.engine.records import Sampling


def prompt_tokens(engine: Engine, prompt: Prompt) -> list[int]:
    """The prompt as tokens. What a user typed never becomes a control token of its own in a prefill."""
    if isinstance(prompt, Text):
        return engine.tokenize(prompt.text, special=True)
    tokens = engine.prompt_tokens(list(prompt.turns))
    if prompt.prefill:
        tokens += engine.vocabulary.tokenize(prompt.prefill, special=False, add_bos=False)
    return tokens


def engine_request(engine: Engine, generation: Generation) -> Request:
    """The engine's request. Raises BadRequest where the template refuses the conversation."""
    return Request(
        tokens=prompt_tokens(engine, generation.prompt),
        sampling=sampling_of(generation.sampling, engine.model.sampling),
        max_tokens=generation.max_tokens,
        stop=generation.stop,
        cache=generation.cache,
    )


def sampling_of(wish: SamplingWish, recommended: Sampling) -> Sampling:
    """What the model's author recommends, with the client's wishes on top."""
    said = {field.name: value for field in fields(wish) if (value := getattr(wish, field.name)) is not None}
    return replace(recommended, **said)
