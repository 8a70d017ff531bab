# SPDX-License-Identifier: Apache-2.0
"""Asking for the summary: at once where the text fits the model's context, else part by part, then of the parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_orch_applet_summarize.parts import cut
from llama_orch_utils.errors import AppletError, ContextTooLong, RequestError, UnsupportedByTarget

if TYPE_CHECKING:
    from llama_orch_utils import Client
    from llama_orch_utils.applets import Context

# By the wished length: what is asked for, and the tokens that it may take.
_LENGTHS = {
    "short": ("in one or two sentences", 120),
    "medium": ("in one paragraph", 320),
    "long": ("in several paragraphs, with every important point", 1000),
}
# The part of a context that a summary may take where the context is small.
_SHARE = 4
# A part is made this much smaller than the estimate says: tokens are not spread evenly over a text.
_MARGIN = 0.8
_SMALLEST = 40
# What a target answers that does not serve a path.
_UNSERVED = (404, 405, 501)
# Behind a summary that ended because its tokens were used up.
_CUT = " […]"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wished: `length` short, medium or long; `language` in words, None for that of the text.

    The wording is that of the prompts of `context`.
    """

    context: Context
    length: str = "medium"
    language: str | None = None

    def prompt(self, text: str) -> str:
        """The question."""
        words, _ = _LENGTHS[self.length]
        language = f" in {self.language}" if self.language else " in its own language"
        return self.context.prompt("summarise", part=text, in_language=language, size=words)

    @property
    def system(self) -> str:
        """What goes before the question."""
        return self.context.prompt("system")

    def tokens(self, limit: int | None) -> int:
        """The tokens that the summary may take in a context of `limit`."""
        _, tokens = _LENGTHS[self.length]
        return tokens if limit is None else max(min(tokens, limit // _SHARE), 1)


def summarise(client: Client, text: str, wish: Wish) -> Iterator[str]:
    """The summary in pieces. Raises AppletError where the context is too small to get anywhere."""
    limit = _context(client)
    while True:
        try:
            _check(client, wish.prompt(text), wish, limit)
            yield from _stream(client, wish.prompt(text), wish, limit)
        except ContextTooLong as error:
            limit, asked = error.limit, error.asked
        else:
            return
        shorter = "\n\n".join(_summaries(client, text, wish, limit, asked))
        if len(shorter) >= len(text):
            raise _too_small(limit)
        text = shorter


def _stream(client: Client, prompt: str, wish: Wish, limit: int | None) -> Iterator[str]:
    with client.stream(prompt, system=wish.system, max_tokens=wish.tokens(limit)) as stream:
        for piece in stream:
            yield piece.text
        if stream.answer.finish_reason == "length":
            yield _CUT


def _summaries(client: Client, text: str, wish: Wish, limit: int, asked: int) -> Iterator[str]:
    """A summary of each part of `text`, which has `asked` tokens with its prompt."""
    room = limit - wish.tokens(limit) - _overhead(client, wish)
    longest = int(len(text) / asked * room * _MARGIN)
    if longest < _SMALLEST:
        raise _too_small(limit)
    parts = cut(text, longest)
    while parts:
        part = parts.pop(0)
        try:
            _check(client, wish.prompt(part), wish, limit)
            answer = client.chat(wish.prompt(part), system=wish.system, max_tokens=wish.tokens(limit))
        except ContextTooLong:
            if len(part) < _SMALLEST:
                raise _too_small(limit) from None
            parts[:0] = cut(part, len(part) // 2 + 1)
        else:
            yield answer.text.strip()


def _check(client: Client, prompt: str, wish: Wish, limit: int | None) -> None:
    """Raises ContextTooLong where the prompt leaves no room for the summary, as far as that is known."""
    asked = _count(client, prompt, wish.system) if limit is not None else None
    if asked is not None and limit is not None and asked + wish.tokens(limit) > limit:
        raise ContextTooLong("the text leaves no room for its summary", limit=limit, asked=asked)


def _context(client: Client) -> int | None:
    """The context of the target's model, where it has one model and tells."""
    try:
        models = client.models()
    except RequestError as error:
        if error.status in _UNSERVED:
            return None
        raise
    return models[0].context if len(models) == 1 else None


def _overhead(client: Client, wish: Wish) -> int:
    """The tokens of the prompt without a text; guessed high where the target counts none."""
    return _count(client, wish.prompt(""), wish.system) or 120


def _count(client: Client, prompt: str, system: str) -> int | None:
    """The tokens of a prompt; None at a target that does not count (it refuses what is too long all the same)."""
    try:
        return client.count_tokens(prompt, system=system)
    except RequestError as error:
        if error.status in _UNSERVED or isinstance(error, UnsupportedByTarget):
            return None
        raise


def _too_small(limit: int) -> AppletError:
    return AppletError(
        f"the model's context of {limit} tokens is too small to summarise this text",
        hint="orch summarize --context 4096 FILE, or another model: -m MODEL",
    )
