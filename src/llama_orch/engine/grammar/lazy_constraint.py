# SPDX-License-Identifier: GPL-3.0-or-later
"""Free text until something in it announces what has to follow a grammar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from llama_orch.engine.grammar.constraint import Constraint
from llama_orch.engine.grammar.lookout import Lookout
from llama_orch.engine.grammar.mask_constraint import MaskConstraint
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import EngineFailed

_bytes_alone: WeakKeyDictionary[Vocabulary, dict[int, int]] = WeakKeyDictionary()


class LazyConstraint(Constraint):
    """Everything is allowed until `lookout` sees a beginning; from there on `inner` holds the answer.

    A token that ends a beginning and goes on is allowed if `inner` takes all of that. `shown` are the control tokens
    that count as text, by their names.
    """

    def __init__(
        self, vocabulary: Vocabulary, inner: MaskConstraint, lookout: Lookout, shown: Mapping[int, str]
    ) -> None:
        self._vocabulary, self._inner, self._lookout = vocabulary, inner, lookout
        self._shown = {token: name.encode() for token, name in shown.items()}
        self._recent: list[tuple[int, bytes]] = []
        self._bytes = _byte_tokens(vocabulary)
        self._held = self._ended = False

    def mask(self, row: NDArray[np.float32]) -> None:
        """As the base class: nothing while the text is free."""
        if self._held:
            self._inner.mask(row)

    def allows(self, token: int) -> bool:
        """As the base class."""
        if self._held:
            return self._inner.allows(token)
        if self._ended:
            return False
        begins = self._lookout.probe(self._text(token))
        if begins is None:
            return True
        beginning = self._since(begins, token)
        return beginning is not None and self._inner.could_take(beginning)

    def allowed(self, ids: NDArray[np.intp]) -> NDArray[np.intp]:
        """As the base class."""
        if self._held:
            return self._inner.allowed(ids)
        return ids[np.fromiter((self.allows(int(token)) for token in ids), np.bool_, len(ids))]

    def accept(self, token: int) -> None:
        """As the base class."""
        if self._held:
            self._inner.accept(token)
            return
        if self._ended:
            raise EngineFailed("A token came after the end of an answer.")
        if self._vocabulary.is_end(token):
            self._ended = True
            return
        text = self._text(token)
        begins = self._lookout.probe(text)
        if begins is not None:
            self._held = True
            for one in self._since(begins, token) or ():
                self._inner.accept(one)
            self._recent.clear()
            return
        self._recent.append((token, text))
        kept = self._lookout.push(text)
        self._forget(kept)

    def is_done(self) -> bool:
        """As the base class."""
        return self._ended or (self._held and self._inner.is_done())

    def close(self) -> None:
        """As the base class."""
        self._inner.close()

    def _text(self, token: int) -> bytes:
        return self._shown.get(token) or self._vocabulary.piece(token)

    def _forget(self, kept: int) -> None:
        """Drops tokens from the front that lie before the last `kept` bytes."""
        length = sum(len(text) for _, text in self._recent)
        while self._recent and length - len(self._recent[0][1]) >= kept:
            length -= len(self._recent.pop(0)[1])

    def _since(self, begins: int, token: int) -> Sequence[int] | None:
        """The tokens of the last `begins` bytes, the last of them `token`; a part of one is spelled in bytes.

        None where the vocabulary has no token for one of those bytes.
        """
        found: list[int] = []
        for one, text in ((token, self._text(token)), *reversed(self._recent)):
            if begins <= 0:
                break
            if len(text) <= begins:
                found.insert(0, one)
            elif one in self._shown or not all(byte in self._bytes for byte in text[-begins:]):
                return None
            else:
                found[:0] = [self._bytes[byte] for byte in text[-begins:]]
            begins -= len(text)
        return found


def _byte_tokens(vocabulary: Vocabulary) -> dict[int, int]:
    """The tokens whose text is one byte, by that byte; looked for once in a vocabulary."""
    known = _bytes_alone.get(vocabulary)
    if known is None:
        pieces = ((token, vocabulary.piece(token)) for token in range(vocabulary.n_tokens - 1, -1, -1))
        known = _bytes_alone[vocabulary] = {piece[0]: token for token, piece in pieces if len(piece) == 1}
    return known
