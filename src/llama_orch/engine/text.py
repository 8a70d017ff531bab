# SPDX-License-Identifier: GPL-3.0-or-later
"""From tokens to text as it streams: whole code points, and never a part of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Mapping
from typing import Protocol

from llama_orch_utils.errors import BadRequest

MAX_STOPS = 64
MAX_STOP_CHARACTERS = 1024


class Pieces(Protocol):
    """What a stream needs of a vocabulary."""

    def piece(self, token: int) -> bytes:
        """The bytes of a token."""
        ...

    def text(self, token: int) -> str | None:
        """The same as text, None where they are not whole code points."""
        ...


class Names(Pieces, Protocol):
    """What is asked of a vocabulary about its control tokens."""

    def label(self, token: int) -> bytes:
        """The bytes of a token; a control token's name."""
        ...

    def is_hidden(self, token: int) -> bool:
        """Whether the token has a name and no text."""
        ...

    def tokenize(self, text: str, *, special: bool, add_bos: bool | None = None) -> list[int]:
        """The tokens of a text; with `special`, names of control tokens become those tokens."""
        ...


class ShownPieces:
    """A vocabulary in which some control tokens have a text: their name."""

    def __init__(self, vocabulary: Names, shown: Mapping[int, str]) -> None:
        self._vocabulary, self._shown = vocabulary, shown

    def piece(self, token: int) -> bytes:
        """The bytes of a token."""
        name = self._shown.get(token)
        return self._vocabulary.piece(token) if name is None else name.encode()

    def text(self, token: int) -> str | None:
        """The same as text, None where they are not whole code points."""
        name = self._shown.get(token)
        return self._vocabulary.text(token) if name is None else name


def shown_tokens(vocabulary: Names, names: Iterable[str]) -> dict[int, str]:
    """The control tokens of these names; what is no single control token of the vocabulary is left out."""
    found: dict[int, str] = {}
    for name in names:
        tokens = vocabulary.tokenize(name, special=True, add_bos=False)
        if len(tokens) == 1 and vocabulary.is_hidden(tokens[0]):
            found[tokens[0]] = name
    return found


class TextStream:
    """One answer's text. Bytes that are no UTF-8 become U+FFFD, as one decoding of the whole answer would do.

    Of several stop strings that wins which is complete first, the longer of two that end together; so the text does
    not depend on how it was cut into tokens. `stopped` is the stop string that ended the text, else None.
    """

    def __init__(self, vocabulary: Pieces, stop: tuple[str, ...] = ()) -> None:
        self._vocabulary = vocabulary
        self._stops = check_stops(stop)
        self._prefixes = frozenset(text[:length] for text in stop for length in range(1, len(text)))
        self._longest = max(map(len, self._prefixes), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._partial = False
        self._held = ""
        self.stopped: str | None = None

    def push(self, token: int) -> str:
        """The text that became certain by `token`; often empty, and always after a stop string."""
        text = None if self._partial else self._vocabulary.text(token)
        if text is None:
            text = self._decoder.decode(self._vocabulary.piece(token))
            self._partial = bool(self._decoder.getstate()[0])
        return self._release(text) if self._stops else text

    def push_bytes(self, data: bytes) -> str:
        """As `push`, of bytes that are no token of the vocabulary."""
        text = self._decoder.decode(data)
        self._partial = bool(self._decoder.getstate()[0])
        return self._release(text) if self._stops else text

    def flush(self) -> str:
        """What was held back, at the end of the answer: it began a stop string that never came, or a code point."""
        text = self._decoder.decode(b"", final=True)
        self._partial = False
        text = self._release(text) if self._stops else text
        held, self._held = self._held, ""
        return text + held

    def _release(self, text: str) -> str:
        if self.stopped is not None:
            return ""
        text = self._held + text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            _, at, self.stopped = min(found)
            self._held = ""
            return text[:at]
        keep = self._beginning_of_stop(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def _beginning_of_stop(self, text: str) -> int:
        for length in range(min(self._longest, len(text)), 0, -1):
            if text[-length:] in self._prefixes:
                return length
        return 0


def check_stops(stop: tuple[str, ...]) -> tuple[str, ...]:
    """The same stop strings; BadRequest for an empty one, too many, or one beyond 1,024 characters."""
    if len(stop) > MAX_STOPS:
        raise BadRequest(f"{len(stop)} stop strings; at most {MAX_STOPS} are allowed.", param="/stop")
    for index, text in enumerate(stop):
        if not text:
            raise BadRequest("A stop string is empty: it would end every answer at once.", param=f"/stop/{index}")
        if len(text) > MAX_STOP_CHARACTERS:
            raise BadRequest(
                f"A stop string has {len(text)} characters; at most {MAX_STOP_CHARACTERS} are allowed.",
                param=f"/stop/{index}",
            )
    return stop
