# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Schema through llguidance: a mask over the vocabulary for every token."""

from __future__ import annotations

import ctypes
import json
import threading
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from llama_orch.engine import library
from llama_orch.engine.grammar.constraint import Constraint
from llama_orch.engine.grammar.schema_check import PARAM, Json, read, subschemas
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import BadRequest, EngineFailed

_OPTIONS = {"whitespace_pattern": r"[ \n\t]{1,20}"}
"""Any layout that a person would write; without a bound, an unsure model writes white space until its tokens end."""
_MAX_PARTS_TO_SEARCH = 300
_FEW = 8
"""One part in this many of the vocabulary."""

_tokenizers: WeakKeyDictionary[Vocabulary, Any] = WeakKeyDictionary()
_lock = threading.Lock()


class SchemaConstraint(Constraint):
    """One answer's way through a JSON schema, given as text.

    Raises UnsupportedByTarget or BadRequest with the JSON pointer of the culprit in `param`.
    """

    def __init__(self, vocabulary: Vocabulary, text: str) -> None:
        self._vocabulary = vocabulary
        self._matcher = _matcher(_tokenizer(vocabulary), read(text))
        # llguidance masks whole 32-bit words; numpy unpacks bytes.
        self._words = np.zeros((vocabulary.n_tokens + 31) // 32, np.uint32)
        self._bits = np.zeros(vocabulary.n_tokens, np.bool_)
        self._ends = np.fromiter(vocabulary.ends, np.intp, len(vocabulary.ends))
        self._current = False
        self._ended = False
        self._refresh()  # a schema that nothing can satisfy shows here, before anything is generated

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
            raise _failure(self._matcher)

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
                raise _failure(self._matcher)
            unpacked = np.unpackbits(self._words.view(np.uint8), count=self._vocabulary.n_tokens, bitorder="little")
            self._bits = unpacked.view(np.bool_)
            self._bits[self._ends] = self._matcher.is_accepting()
        self._current = True


def _failure(matcher: Any) -> BadRequest:
    # The limits of llguidance's parser, or no way on: the schema is to blame, not the engine.
    if "NoExtension" in _words(matcher):
        return BadRequest("The JSON schema allows no answer.", param=PARAM)
    return BadRequest(f"The JSON schema became too complex for this answer: {_words(matcher)}", param=PARAM)


def _tokenizer(vocabulary: Vocabulary) -> Any:
    """Llguidance's view of the vocabulary: half a second for 152,000 tokens, once."""
    with _lock:
        known = _tokenizers.get(vocabulary)
        if known is None:
            known = _tokenizers[vocabulary] = _make_tokenizer(vocabulary)
        return known


def _make_tokenizer(vocabulary: Vocabulary) -> Any:
    from llguidance import LLTokenizer

    # As llguidance.llamacpp has it, without the 270 ms of importing the whole llama_cpp package: 0xff marks tokens
    # that no text can spell.
    pieces = [vocabulary.piece(t) or b"\xff" + vocabulary.label(t) for t in range(vocabulary.n_tokens)]
    shared: Any = library.load()._lib  # noqa: SLF001 - llguidance wants the address of a function in it
    address = ctypes.cast(shared.llama_tokenize, ctypes.c_void_p).value
    ends = sorted(vocabulary.ends)
    if not ends:
        raise EngineFailed("The model has no end-of-text token: an answer by a JSON schema could not end.")
    return cast("Any", LLTokenizer).from_llamacpp(
        tokens=pieces,
        vocab_ptr=vocabulary.pointer,
        tokenize_fptr=address,
        eos_token=ends,
        slices=LLTokenizer.json_slices(),
    )


def _matcher(tokenizer: Any, schema: Json) -> Any:
    matcher = _compile(tokenizer, schema)
    if matcher.is_error():
        words = _words(matcher)
        raise BadRequest(f"The JSON schema cannot be used: {words}", param=PARAM + _place(tokenizer, schema, words))
    return matcher


def _compile(tokenizer: Any, schema: Json) -> Any:
    from llguidance import LLMatcher

    make: Any = LLMatcher
    try:
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=_OPTIONS)  # pyright: ignore[reportArgumentType]
    except ValueError as error:  # what its JSON reader does not take, numbers beyond a double among them
        raise BadRequest(f"The JSON schema cannot be used: {error}", param=PARAM) from error
    return make(tokenizer, grammar, log_level=0)


def _place(tokenizer: Any, schema: Json, words: str) -> str:
    """The JSON pointer of the innermost part that alone gives the same error; llguidance tells no place."""
    parts = list(subschemas(schema))
    if len(parts) > _MAX_PARTS_TO_SEARCH:
        return ""
    for pointer, part in reversed(parts):
        if _words(_compile(tokenizer, part)) == words:
            return pointer
    return ""


def _words(matcher: Any) -> str:
    error = str(matcher.get_error())
    return error.split("\n<state>", maxsplit=1)[0].strip()
