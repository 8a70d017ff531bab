# SPDX-License-Identifier: GPL-3.0-or-later
"""GBNF through llama.cpp's grammar sampler, asked about as few tokens as possible.

The whole vocabulary costs it 74 ms a token, one token 12 µs: so the sampler draws first and asks afterwards. Three
things that it lets pass are refused here: tokens whose text is not part of an answer (control tokens), bytes that are
no UTF-8, and an end in the middle of a character.
"""

from __future__ import annotations

import codecs
import time

import numpy as np
from numpy.typing import NDArray

from llama_orch.engine import library
from llama_orch.engine.grammar.constraint import Constraint
from llama_orch.engine.grammar.gbnf import parse
from llama_orch.engine.grammar.gbnf_check import check
from llama_orch.engine.grammar.gbnf_cursor import refusal, too_much
from llama_orch.engine.token_data import TokenData
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import EngineFailed

_SECONDS = 0.25
"""CPU time of one question about some tokens, beyond which the request is given up for the others' sake."""
_SECONDS_PER_TOKEN = 20e-6


class GrammarConstraint(Constraint):
    """One answer's way through a grammar. Raises BadRequest, `param` /grammar, for one that cannot be used."""

    def __init__(self, vocabulary: Vocabulary, text: str) -> None:
        check(parse(text))
        self._lib = library.load()
        self._vocabulary = vocabulary
        self._sampler = self._lib.llama_sampler_init_grammar(vocabulary.pointer, text.encode(), b"root")
        if not self._sampler:
            # Everything else has a reason of its own by now: llama.cpp also refuses recursion that would end.
            raise refusal("left recursion")
        self._data = TokenData()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ended = False

    def mask(self, row: NDArray[np.float32]) -> None:
        """Nothing: the whole vocabulary is too dear."""

    def allows(self, token: int) -> bool:
        """As the base class."""
        return self._is_text(token) and self._survives(np.array([token], np.intp))[0]

    def allowed(self, ids: NDArray[np.intp]) -> NDArray[np.intp]:
        """As the base class."""
        kept = ids[self._survives(ids)]
        return kept[[self._is_text(int(token)) for token in kept]] if len(kept) else kept

    def accept(self, token: int) -> None:
        """As the base class."""
        if self._ended or not self._sampler:
            raise EngineFailed("A token came after the end of an answer.")
        if self._vocabulary.is_end(token):
            self._ended = True
            return
        self._decoder.decode(self._vocabulary.piece(token))
        self._lib.llama_sampler_accept(self._sampler, token)

    def is_done(self) -> bool:
        """Whether an end-of-generation token was accepted: llama.cpp does not tell what else could follow."""
        return self._ended

    def close(self) -> None:
        """As the base class."""
        if self._sampler:
            self._lib.llama_sampler_free(self._sampler)
        self._sampler = None

    def _survives(self, ids: NDArray[np.intp]) -> NDArray[np.bool_]:
        if self._ended or not self._sampler:
            return np.zeros(len(ids), np.bool_)
        began = time.thread_time()
        self._lib.llama_sampler_apply(self._sampler, self._data.fill(ids, 0.0))
        if time.thread_time() - began > _SECONDS + _SECONDS_PER_TOKEN * len(ids):
            raise too_much("it is too ambiguous for this answer: checking one more token takes too long")
        return self._data.logits(len(ids)) > -np.inf

    def _is_text(self, token: int) -> bool:
        """Whether the token goes on with whole UTF-8 (or ends at a whole character) and is part of the answer."""
        if self._vocabulary.is_end(token):
            return not self._decoder.getstate()[0]
        piece = self._vocabulary.piece(token)
        if not piece or b"\0" in piece:
            return False
        state = self._decoder.getstate()
        try:
            self._decoder.decode(piece)
            begun = self._decoder.getstate()[0]
        except UnicodeDecodeError:
            return False
        finally:
            self._decoder.setstate(state)
        # Half a surrogate: Python refuses only its third byte, when there is no way on any more.
        return not (begun[:1] == b"\xed" and begun[1:2] >= b"\xa0")
