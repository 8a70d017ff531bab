# SPDX-License-Identifier: Apache-2.0
"""Cutting texts into passages of so many tokens, at the best border that there is: paragraph, line, sentence, word."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llama_orch_utils.errors import BadRequest, ContextTooLong, RequestError, UnsupportedByTarget

if TYPE_CHECKING:
    from llama_orch_utils.client.blocking import Client
    from llama_orch_utils.documents.document import Document, Place

Count = Callable[[str], int]
"""The tokens of a text."""
_BORDERS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[.!?。！？…][\"'”’)\]]*\s"), re.compile(r"\s"))
_MARGIN = 0.9
_LEAST = 0.5  # of the wished length: an earlier border is no good one
_UNSERVED = (404, 405, 501)
_BYTES_PER_TOKEN = 2  # a guess that is rather too many tokens than too few
_PROBE = 20_000  # characters that are enough to learn how long a token is here
_SAMPLE, _SAMPLED = 2000, 10  # characters of a document, and documents
_LEAST_ROOM = 64  # tokens of a document that are worth a request


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document: `text` is exactly `document.text[start:end]`."""

    document: Document
    start: int
    end: int
    text: str = field(repr=False)

    @property
    def source(self) -> str:
        """The document's name."""
        return self.document.name

    @property
    def place(self) -> Place:
        """Where it begins."""
        return self.document.place(self.start)


def counter(client: Client) -> Count:
    """Counts with the target's own tokenizer; at a target that counts none, a guess from the bytes, rather too high."""
    served = True

    def count(text: str) -> int:
        nonlocal served
        if served and text.strip():
            try:
                return client.count_tokens(text)
            except RequestError as error:
                if error.status not in _UNSERVED and not isinstance(error, UnsupportedByTarget):
                    raise
                served = False
        return -(-len(text.encode()) // _BYTES_PER_TOKEN)

    return count


def rate(client: Client, documents: Iterable[Document]) -> Count:
    """Counts by what a sample of the documents has in tokens per character, a little too high: one request for all.

    For passages to look things up in, of which there may be thousands.
    """
    sample = " ".join(each.text[:_SAMPLE] for _, each in zip(range(_SAMPLED), documents, strict=False))
    each = counter(client)(sample) / max(len(sample), 1) / _MARGIN

    def count(text: str) -> int:
        return -int(-len(text) * each // 1)

    return count


def passages(documents: Iterable[Document], most_tokens: int, count: Count) -> Iterator[Passage]:
    """Every document in passages of at most `most_tokens`, in their order; together they hold every word.

    Raises BadRequest where so few tokens hold not even one character.
    """
    for document in documents:
        for start, end in cut(document.text, most_tokens, count):
            yield Passage(document, start, end, document.text[start:end])


def cut(text: str, most_tokens: int, count: Count) -> Iterator[tuple[int, int]]:
    """The spans of `text` that have at most `most_tokens` each; only white space lies between them."""
    if most_tokens < 1:
        raise BadRequest("a passage needs at least one token", hint="give most_tokens=200")
    start, end = _trimmed(text, 0, len(text))
    probe = text[start : min(end, start + _PROBE)]
    wished = max(int(len(probe) / max(count(probe), 1) * most_tokens * _MARGIN), 1) if probe else 1
    while start < end:
        stop = _border(text, start, end, wished)
        while count(text[start:stop]) > most_tokens:
            if stop - start == 1:
                raise BadRequest(f"{most_tokens} tokens hold no text at all", hint="give more tokens per passage")
            stop = _border(text, start, end, (stop - start) // 2)
        first, last = _trimmed(text, start, stop)
        if first < last:
            yield first, last
        start = _trimmed(text, stop, end)[0]


def _border(text: str, start: int, end: int, wished: int) -> int:
    """Where to cut so that at most `wished` characters come after `start`."""
    if end - start <= wished:
        return end
    window = text[start : start + max(wished, 1)]
    for border in _BORDERS:
        found = [match.end() for match in border.finditer(window, int(len(window) * _LEAST))]
        if found:
            return start + found[-1]
    return start + len(window)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without white space at its ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def answer_tokens(client: Client, wanted: int) -> int:
    """The tokens that an answer may take: those that are `wanted`, and at most half of the target's context."""
    model = client.described()
    return wanted if model is None or model.context is None else max(min(wanted, model.context // 2), 1)


def fitting(document: Document, client: Client, frame: str, answer_tokens: int) -> list[Passage]:
    """The document in as few passages as fit the target's context beside the prompt's `frame` and the answer.

    The whole of it where the target does not tell its context: it refuses then what is too long. Raises ContextTooLong
    where the frame and the answer leave no room to speak of.
    """
    whole = Passage(document, 0, len(document.text), document.text)
    model = client.described()
    if model is None or model.context is None:
        return [whole]
    count = counter(client)
    around = count(frame) + answer_tokens
    room = model.context - around
    if room < _LEAST_ROOM:
        raise ContextTooLong(
            f"a context of {model.context} tokens leaves no room for the document",
            limit=model.context,
            asked=around + _LEAST_ROOM,
            hint="--context 4096, or another model: -m MODEL",
        )
    return [whole] if count(document.text) <= room else list(passages([document], room, count))
