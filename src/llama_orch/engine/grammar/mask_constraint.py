# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer's way through a grammar of llguidance's: a mask over the vocabulary for every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llama_orch.engine.grammar.constraint import Constraint
from llama_orch.engine.grammar.excess import excess
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import BadRequest, EngineFailed

_FEW = 8
"""One part in this many of the vocabulary."""


class MaskConstraint(Constraint):
    """One answer's way through what `matcher` (an `LLMatcher`) holds. Errors that come on the way are BadRequest.

    `subject` is what those errors speak of ("JSON schema"), `param` their JSON pointer.
    """

    def __init__(self, vocabulary: Vocabulary, matcher: Any, subject: str, param: str) -> None:
        self._vocabulary, self._matcher = vocabulary, matcher
        self._subject, self._param = subject, param
        # llguidance masks whole 32-bit words; numpy unpacks bytes.
        self._words = np.zeros((vocabulary.n_tokens + 31) // 32, np.uint32)
        self._bits = np.zeros(vocabulary.n_tokens, np.bool_)
        self._ends = np.fromiter(vocabulary.ends, np.intp, len(vocabulary.ends))
        self._current = False
        self._ended = False
        self._refresh()  # what nothing can satisfy shows here, before anything is generated

    def mask(self, row: NDArray[np.float32]) -> None:
        """As the base class, exactly."""
        self._refresh()
        allowed = np.count_nonzero(self._bits)
        # Inside a string nearly all tokens are allowed, between values nearly none: few logits have to be moved.
        if allowed * _FEW < len(row):
            ids = np.flatnonzero(self._bits)
            kept = row[ids]
            row.fill(-np.inf)
            row[ids] = kept
        elif (len(row) - allowed) * _FEW < len(row):
            row[np.flatnonzero(~self._bits)] = -np.inf
        else:
            np.copyto(row, -np.inf, where=~self._bits)

    def allows(self, token: int) -> bool:
        """As the base class."""
        self._refresh()
        return bool(self._bits[token])

    def allowed(self, ids: NDArray[np.intp]) -> NDArray[np.intp]:
        """As the base class."""
        self._refresh()
        return ids[self._bits[ids]]

    def accept(self, token: int) -> None:
        """As the base class."""
        if self._ended:
            raise EngineFailed("A token came after the end of an answer.")
        self._current = False
        if self._vocabulary.is_end(token):
            self._ended = True
        elif not self._matcher.consume_token(token):
            raise self._failure()

    def could_take(self, tokens: Sequence[int]) -> bool:
        """Whether all these tokens may come next, in this order."""
        return self._matcher.validate_tokens(list(tokens)) == len(tokens)

    def is_done(self) -> bool:
        """As the base class."""
        return self._ended or (self._matcher.is_stopped() and not self._matcher.is_error())

    def close(self) -> None:
        """Nothing: Python owns it all."""

    def _refresh(self) -> None:
        if self._current:
            return
        if self.is_done():
            self._bits[:] = False
            self._bits[self._ends] = not self._ended
        else:
            self._matcher.unsafe_compute_mask_ptr(self._words.ctypes.data, self._words.nbytes)
            if self._matcher.is_error():
                raise self._failure()
            unpacked = np.unpackbits(self._words.view(np.uint8), count=self._vocabulary.n_tokens, bitorder="little")
            self._bits = unpacked.view(np.bool_)
            self._bits[self._ends] = self._matcher.is_accepting()
        self._current = True

    def _failure(self) -> BadRequest:
        # The limits of llguidance's parser, or no way on: the grammar is to blame, not the engine.
        said = words(self._matcher)
        if "NoExtension" in said:
            return BadRequest(f"The {self._subject} allows no answer.", param=self._param)
        return excess(f"The {self._subject} became too complex for this answer: {said}", param=self._param)


def words(matcher: Any) -> str:
    """What a matcher complains about; empty: nothing."""
    return str(matcher.get_error()).split("\n<state>", maxsplit=1)[0].strip()
