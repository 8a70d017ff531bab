# SPDX-License-Identifier: GPL-3.0-or-later
"""llguidance's view of a vocabulary."""

from __future__ import annotations

import ctypes
import threading
from typing import Any, cast
from weakref import WeakKeyDictionary

from llama_orch.engine import library
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import EngineFailed

_tokenizers: WeakKeyDictionary[Vocabulary, Any] = WeakKeyDictionary()
_lock = threading.Lock()


def tokenizer_of(vocabulary: Vocabulary) -> Any:
    """The `LLTokenizer` of a vocabulary: half a second for 152,000 tokens, once."""
    with _lock:
        known = _tokenizers.get(vocabulary)
        if known is None:
            known = _tokenizers[vocabulary] = _make_tokenizer(vocabulary)
        return known


def _make_tokenizer(vocabulary: Vocabulary) -> Any:
    from llguidance import LLTokenizer

    # As llguidance.llamacpp has it, without the 270 ms of importing the whole llama_cpp package: 0xff marks tokens
    # that no text can spell.
    pieces = [(b"\xff" if vocabulary.is_mark(t) else b"") + vocabulary.label(t) for t in range(vocabulary.n_tokens)]
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
