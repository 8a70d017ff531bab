# SPDX-License-Identifier: GPL-3.0-or-later
"""Prompts as the engine takes them: a conversation by its template, a text, tokens, or a gap to fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch import formats
from llama_orch.wire.generation import Chat, Generation, Infill, Prompt, Text, Thinking, Tokens
from llama_orch.wire.json_body import Json
from llama_orch.worker import pictures
from llama_orch.worker.reading import form_of, specs_of
from llama_orch_utils.errors import UnsupportedByTarget

if TYPE_CHECKING:
    from llama_orch.engine.engine import Engine
    from llama_orch.engine.vision import Span


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt in tokens. `text` is what an echo repeats, `opened` the text that the answer continues.

    `pictures` are where the tokens are rows of images.
    """

    tokens: list[int]
    text: str = ""
    opened: str = ""
    pictures: tuple[Span, ...] = ()


def prepared(engine: Engine, generation: Generation, prompt: Prompt) -> Prepared:
    """The prompt, in this model's tokens.

    Raises BadRequest where the template refuses the conversation or a token does not exist, UnsupportedByTarget for a
    gap where the model has no tokens for it.
    """
    match prompt:
        case Text(text):
            return Prepared(engine.tokenize(text, special=True), text)
        case Tokens(ids):
            return Prepared(list(ids), engine.detokenize(ids))
        case Infill():
            return _gap(engine, prompt)
        case Chat():
            return _conversation(engine, generation, prompt)


def _conversation(engine: Engine, generation: Generation, chat: Chat) -> Prepared:
    form, specs = form_of(engine.model.chat_template), specs_of(generation.tools)
    told = [tool.definition() for tool in generation.tools.tools] if generation.tools and specs else None
    told_turns, seen = pictures.marked(chat.turns)
    pictures.check(engine, seen)
    turns = formats.adapted(form, told_turns, specs)
    variables = _variables(chat, generation.thinking)
    opened = engine.render(turns, tools=told if form.announced else None, template=variables)
    spans: tuple[Span, ...] = ()
    if seen and engine.eyes is not None:
        tokens, spans = engine.eyes.read(engine.vocabulary, opened, seen)
        opened = pictures.shown(opened, seen)
    else:
        tokens = engine.vocabulary.tokenize(opened, special=True)
    if chat.prefill:  # what a user typed never becomes a control token of its own in a prefill
        tokens += engine.vocabulary.tokenize(chat.prefill, special=False, add_bos=False)
    return Prepared(tokens, opened=opened + (chat.prefill or ""), pictures=spans)


def _variables(chat: Chat, thinking: Thinking | None) -> dict[str, Json]:
    """What the chat template is told: thinking by the names that templates know, then the client's own variables."""
    told: dict[str, Json] = {}
    if thinking is not None and thinking.enabled is not None:
        told |= {"enable_thinking": thinking.enabled, "thinking": thinking.enabled}  # Qwen, GLM; DeepSeek, Granite
    if thinking is not None and thinking.effort not in (None, "none"):
        told["reasoning_effort"] = thinking.effort  # gpt-oss
    return told | dict(chat.template)


def _gap(engine: Engine, gap: Infill) -> Prepared:
    """Prefix, suffix, middle, as the llama.cpp server writes them; here too a user's text is nothing but text."""
    vocabulary = engine.vocabulary
    if vocabulary.infill is None:
        raise UnsupportedByTarget(
            "this model has no tokens for filling a gap",
            capability="suffix",
            param="/suffix",
            hint="leave /suffix out, or ask a model for code that was trained to fill in",
        )
    before, after, middle = vocabulary.infill
    prefix = vocabulary.tokenize(gap.prefix, special=False, add_bos=False)
    suffix = vocabulary.tokenize(gap.suffix, special=False, add_bos=False)
    start = [vocabulary.bos] if vocabulary.adds_bos and vocabulary.bos is not None else []
    return Prepared([*start, before, *prefix, after, *suffix, middle], gap.prefix)
