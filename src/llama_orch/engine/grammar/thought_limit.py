# SPDX-License-Identifier: GPL-3.0-or-later
"""Thoughts of so many tokens and no more: then the mark that ends them is all that may come."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from llama_orch.engine.grammar.constraint import Constraint
from llama_orch.engine.records import Sampling
from llama_orch.engine.vocabulary import Vocabulary

_LONGEST_CHARACTER = 4


class ThoughtLimit(Constraint):
    """What `inner` allows (None: everything), and all thoughts of an answer together of `sampling.most_thought` tokens.

    The mark that is written here counts as none of them. `shown` are the control tokens that count as text, by their
    names. A thought that the prompt began has an empty first mark.
    """

    def __init__(
        self, vocabulary: Vocabulary, inner: Constraint | None, sampling: Sampling, shown: Mapping[int, str]
    ) -> None:
        assert sampling.most_thought is not None
        self._vocabulary, self._inner, self._left = vocabulary, inner, sampling.most_thought
        self._shown = {token: name.encode() for token, name in shown.items()}
        self._marks: dict[bytes, str | None] = {begin.encode(): close for begin, close in sampling.thoughts if begin}
        self._close = next((close for begin, close in sampling.thoughts if not begin), None)
        self._kept = max((len(mark) for pair in sampling.thoughts for mark in map(str.encode, pair)), default=0)
        self._tail: bytes = b""
        self._due: list[int] = []
        self._ended = False
        self._look()

    def mask(self, row: NDArray[np.float32]) -> None:
        """As the base class."""
        forced = self._forced()
        if forced is None:
            if self._inner is not None:
                self._inner.mask(row)
            return
        row[:] = -np.inf
        row[forced] = 0.0  # also where the client's bias forbids it

    def allows(self, token: int) -> bool:
        """As the base class."""
        forced = self._forced()
        if forced is not None:
            return token == forced
        return not self._ended if self._inner is None else self._inner.allows(token)

    def allowed(self, ids: NDArray[np.intp]) -> NDArray[np.intp]:
        """As the base class."""
        forced = self._forced()
        if forced is not None:
            return ids[ids == forced]
        return ids if self._inner is None else self._inner.allowed(ids)

    def accept(self, token: int) -> None:
        """As the base class."""
        forced = self._forced()
        if self._inner is not None:
            self._inner.accept(token)
        if self._vocabulary.is_end(token):
            self._ended = True
            return
        if forced is not None:
            self._due = self._due[1:]
        elif self._close is not None:
            self._left -= 1
        self._tail += self._shown.get(token) or self._vocabulary.piece(token)
        self._look()

    def is_done(self) -> bool:
        """As the base class."""
        return self._ended if self._inner is None else self._inner.is_done()

    def close(self) -> None:
        """As the base class."""
        if self._inner is not None:
            self._inner.close()

    def _look(self) -> None:
        """Which thought the text is in; its end is due when nothing is left for it."""
        while True:
            marks: dict[bytes, str | None] = {self._close.encode(): None} if self._close is not None else self._marks
            places = [(at, mark) for mark in marks if (at := self._tail.find(mark)) >= 0]
            if not places:
                break
            at, mark = min(places)
            self._tail, self._close, self._due = self._tail[at + len(mark) :], marks[mark], []
        self._tail = self._tail[-max(self._kept, _LONGEST_CHARACTER) :]
        if self._close is not None and self._left <= 0 and not self._due:
            self._due = self._vocabulary.tokenize(self._close, special=True, add_bos=False)

    def _forced(self) -> int | None:
        """The token that has to come now. Between the bytes of a character, and where `inner` forbids it, none."""
        if not self._due or self._ended or _is_cut(self._tail):
            return None
        token = self._due[0]
        return token if self._inner is None or self._inner.allows(token) else None


def _is_cut(text: bytes) -> bool:
    """Whether UTF-8 ends within a character."""
    for back in range(1, min(_LONGEST_CHARACTER, len(text)) + 1):
        byte = text[-back]
        if byte & 0xC0 != 0x80:  # noqa: PLR2004 - no continuation: a character's first byte
            return back < (1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)  # noqa: PLR2004
    return False
