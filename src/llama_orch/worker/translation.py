# SPDX-License-Identifier: GPL-3.0-or-later
"""From the wire's neutral request to the engine's: prompts, sampling, one request per choice."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from llama_orch.wire.generation import Chat, Generation, SamplingWish
from llama_orch.worker.prompts import Prepared, prepared
from llama_orch.worker.reading import Reading, form_of, reading_of
from llama_orch.worker.terms import NONE, Terms
from llama_orch_utils.errors import BadRequest, ContextTooLong, RequestError, UnsupportedByTarget

if TYPE_CHECKING:  # the engine brings llama.cpp and numpy along: only the loading thread imports it
    from llama_orch.engine.engine import Engine
    from llama_orch.engine.records import Request, Sampling

_SEEDS = 2**64


@dataclass(frozen=True, slots=True)
class Order:
    """A generation, ready for the engine. `requests` has one member per choice, in their order."""

    generation: Generation
    name: str
    sampling: Sampling
    reading: Reading | None
    prompts: list[Prepared]
    requests: list[Request]

    @property
    def constrained(self) -> bool:
        """Whether something has to be compiled first, which may take half a second."""
        found = self._asked
        return not (found.grammar is found.json_schema is found.lark is None)

    @property
    def whole_or_cut(self) -> bool:
        """Whether an answer that ends of its own is whole by a schema: a stop string can only have cut it."""
        found = self._asked
        free = bool(found.trigger) or found.opening is not None
        return found.json_schema is not None or (found.lark is not None and not free)

    @property
    def _asked(self) -> Sampling:
        return self.requests[0].sampling if self.requests else self.sampling


def order(engine: Engine, generation: Generation, name: str, terms: Terms = NONE) -> Order:
    """The generation for this engine, within the gateway's terms.

    Raises BadRequest and its kin, in the words of the client's own body; InsufficientCredits as `Terms.most` does.
    """
    _check_context(engine, generation)
    sampling = sampling_of(generation.sampling, engine.model.sampling)
    try:
        prompts = prompts_of(engine, generation)
        _check_lengths(engine, generation, prompts)
        reading = _reading(engine, generation, prompts)
        requests = _requests(generation, prompts, sampling, reading, terms)
    except RequestError as error:
        raise in_its_own_words(error, generation) from error
    return Order(generation, name, sampling, reading, prompts, requests)


def prompts_of(engine: Engine, generation: Generation) -> list[Prepared]:
    """The generation's prompts. Raises BadRequest where the template refuses the conversation."""
    found: list[Prepared] = []
    for index, prompt in enumerate(generation.prompts):
        try:
            found.append(prepared(engine, generation, prompt))
        except RequestError as error:
            if error.param in (None, "/messages"):
                error.param = _prompt_pointer(generation, index)
            raise
    return found


def sampling_of(wish: SamplingWish, recommended: Sampling) -> Sampling:
    """What the model's author recommends, with the client's wishes on top."""
    said = {field.name: value for field in fields(wish) if (value := getattr(wish, field.name)) is not None}
    return replace(recommended, **said)


def in_its_own_words(error: RequestError, generation: Generation) -> RequestError:
    """The engine speaks of its own records; the client knows only the body that it sent."""
    param = error.param or ""
    for mine, theirs in (("/messages", generation.prompt_at), ("/json_schema", generation.schema_at)):
        if param == mine or param.startswith(mine + "/"):
            error.param = theirs + param.removeprefix(mine)
    return error


def _check_lengths(engine: Engine, generation: Generation, prompts: list[Prepared]) -> None:
    """What the engine would refuse: later prompts reach it only when the answers to earlier ones have begun."""
    for index, prompt in enumerate(prompts):
        count, limit = len(prompt.tokens), engine.context
        if count > limit:
            raise ContextTooLong(
                f"the prompt has {count} tokens; the context holds {limit}",
                limit=limit,
                asked=count,
                param=_prompt_pointer(generation, index),
                hint="send less, or load the model with a larger context",
            )
        if not count:
            raise BadRequest("the prompt is empty", param=_prompt_pointer(generation, index))


def _prompt_pointer(generation: Generation, index: int) -> str:
    return generation.prompt_at if len(generation.prompts) == 1 else f"{generation.prompt_at}/{index}"


def _reading(engine: Engine, generation: Generation, prompts: list[Prepared]) -> Reading | None:
    """How the answers to a conversation are read; None for a completion, whose text is nothing but text."""
    if not any(isinstance(prompt, Chat) for prompt in generation.prompts):
        return None
    template = engine.model.chat_template
    return reading_of(form_of(template), template, generation, prompts[0].opened)


def _requests(
    generation: Generation, prompts: list[Prepared], sampling: Sampling, reading: Reading | None, terms: Terms
) -> list[Request]:
    from llama_orch.engine.records import Request

    shown = () if reading is None else reading.form.shown
    bound = sampling if reading is None else reading.held(sampling)
    length = sum(len(prompt.tokens) for prompt in prompts)
    most = terms.most(generation.max_tokens, length, len(prompts) * generation.n)
    found: list[Request] = []
    for prompt in prompts:
        first = Request(
            prompt.tokens,
            bound,
            most,
            generation.stop,
            generation.cache,
            shown,
            salt=terms.salt,
            adapters=generation.adapters,
            pictures=prompt.pictures,
        )
        found.append(first)
        found += [replace(first, sampling=_reseeded(bound, turn)) for turn in range(1, generation.n)]
    return found


def _reseeded(sampling: Sampling, turn: int) -> Sampling:
    """The sampling of a prompt's further choices: with one seed for all of them they would be one answer n times."""
    return sampling if sampling.seed is None else replace(sampling, seed=(sampling.seed + turn) % _SEEDS)


def _check_context(engine: Engine, generation: Generation) -> None:
    wanted, served = generation.context, engine.context
    if wanted is not None and wanted > served:
        name = generation.context_at.rsplit("/", 1)[-1]
        raise UnsupportedByTarget(
            f"{name} {wanted} is more than the {served} tokens that are served here",
            capability=name,
            param=generation.context_at,
            hint=f"set {name} to at most {served}",
        )
