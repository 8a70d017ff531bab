# SPDX-License-Identifier: GPL-3.0-or-later
"""The model's vocabulary: text to tokens and back, every argument checked before it reaches C."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from typing import Any

from llama_orch.engine import library
from llama_orch.engine.long_runs import MAX_RUN, pieces
from llama_orch.engine.many_names import finder, sections
from llama_orch_utils.errors import BadRequest, EngineFailed

_PIECE_BYTES = 256
"""Room for one token's text at the first attempt; longer ones say how much they need."""
_MAX_TEXT_BYTES = 2**30
"""llama_tokenize counts bytes and tokens in 32 bits."""
_USER_DEFINED = 0x10  # LLAMA_TOKEN_ATTR_USER_DEFINED
_NAMED = 0x1 | 0x8 | _USER_DEFINED
_LSTRIP = 1 << 7  # LLAMA_TOKEN_ATTR_LSTRIP
_LONG = 4096
"""Characters; shorter texts cannot hold enough names of control tokens to matter."""
_BPE = 2  # LLAMA_VOCAB_TYPE_BPE
_CONTROL_OR_UNKNOWN = 0x1 | 0x8  # LLAMA_TOKEN_ATTR_UNKNOWN | LLAMA_TOKEN_ATTR_CONTROL (llama.h)


class Vocabulary:
    """`n_tokens` tokens behind a `llama_vocab` pointer that outlives this object.

    `bos`, `eos`, `eot` are token ids, None where the model has none; `ends` are the end-of-generation tokens;
    `suppressed` are those that the model's makers never want sampled.
    """

    def __init__(self, pointer: Any, n_tokens: int) -> None:
        lib = library.load()
        if not pointer or n_tokens <= 0 or n_tokens != lib.llama_vocab_n_tokens(pointer):
            raise EngineFailed("The model has no usable vocabulary.")
        self.pointer, self.n_tokens = pointer, n_tokens
        self._lib = lib
        self._pieces: dict[int, bytes] = {}
        self._texts: dict[int, str | None] = {}
        self.bos = _known(lib.llama_vocab_bos(pointer))
        self.eos = _known(lib.llama_vocab_eos(pointer))
        self.eot = _known(lib.llama_vocab_eot(pointer))
        self.adds_bos = bool(lib.llama_vocab_get_add_bos(pointer))
        is_end = lib.llama_vocab_is_eog
        self.ends = frozenset(token for token in range(n_tokens) if is_end(pointer, token))
        self._is_bpe = lib.llama_vocab_type(pointer) == _BPE
        self.suppressed = _suppressed(lib, pointer, n_tokens)

    def check(self, tokens: Iterable[int]) -> None:
        """Raises BadRequest for a token outside the vocabulary: llama.cpp would read beyond its tables."""
        for token in tokens:
            if not 0 <= token < self.n_tokens:
                raise BadRequest(f"Token {token} is outside the vocabulary (0 to {self.n_tokens - 1}).")

    def is_end(self, token: int) -> bool:
        """Whether `token` ends a generation (EOS, end of turn and their kin)."""
        return token in self.ends

    def is_hidden(self, token: int) -> bool:
        """Whether `token` is a control token or the unknown one: it has a name, and no text in an answer."""
        self.check((token,))
        return bool(self._lib.llama_vocab_get_attr(self.pointer, token) & _CONTROL_OR_UNKNOWN)

    def is_mark(self, token: int) -> bool:
        """Whether `token` is no part of any text that a grammar describes, though it may have one.

        Those are the hidden ones, and those that llama.cpp makes visible because models need them within an answer
        (gpt-oss's `<|end|>`).
        """
        if self.is_hidden(token):
            return True
        label = self.label(token)
        added = self._lib.llama_vocab_get_attr(self.pointer, token) & _USER_DEFINED
        return bool(added) and label.startswith(b"<|") and label.endswith(b"|>")

    def piece(self, token: int) -> bytes:
        """The bytes that `token` stands for in an answer; empty for control tokens. Not always whole code points."""
        known = self._pieces.get(token)
        if known is None:
            self.check((token,))
            known = self._pieces[token] = self._render(token, special=False)
        return known

    def label(self, token: int) -> bytes:
        """As `piece`, with the names of control tokens (`<|im_end|>`)."""
        self.check((token,))
        return self.piece(token) or self._render(token, special=True)

    def text(self, token: int) -> str | None:
        """The piece as text where it is whole code points, None where it is not."""
        try:
            return self._texts[token]
        except KeyError:
            try:
                known: str | None = self.piece(token).decode("utf-8")
            except UnicodeDecodeError:
                known = None
            self._texts[token] = known
            return known

    def tokenize(self, text: str, *, special: bool, add_bos: bool | None = None) -> list[int]:
        """The tokens of `text`; `special`: names of control tokens in it become those tokens.

        `add_bos` None: as the model wants it, and never twice (a chat template may have written it already);
        no end-of-text token is ever appended. Raises BadRequest for text that is not Unicode (lone surrogates: a
        replacement would silently ask another question) or beyond 1 GiB.
        """
        found = [token for part in self._parts(text, special=special) for token in self._tokens(part, special=special)]
        wanted = self.adds_bos if add_bos is None else add_bos
        if wanted and self.bos is not None and (add_bos or found[:1] != [self.bos]):
            found.insert(0, self.bos)
        return found

    def _parts(self, text: str, *, special: bool) -> Iterator[str]:
        """The text as it is, or cut where that changes no token and llama.cpp would not come through."""
        parts = sections(text, self._finder(special), self._swallowing) if len(text) > _LONG else (text,)
        for part in parts:
            if len(part) > MAX_RUN and self._is_bpe:
                yield from pieces(part, self._names)
            else:
                yield part

    @cache  # noqa: B019 - a vocabulary lives as long as its process
    def _finder(self, special: bool) -> re.Pattern[str]:  # noqa: FBT001 - a key of the cache
        """Finds the names that llama.cpp looks for: without `special` only those that the makers added."""
        wanted = _NAMED if special else _USER_DEFINED
        return finder(self._names_of(wanted))

    @cached_property
    def _swallowing(self) -> frozenset[str]:
        """Names that take the white space before them along."""
        return frozenset(self._names_of(_LSTRIP))

    def _tokens(self, text: str, *, special: bool) -> list[int]:
        data = _utf8(text)
        # A byte is at most one token, and SentencePiece may put a space in front.
        tokens = (ctypes.c_int32 * (len(data) + 16))()
        count = self._lib.llama_tokenize(self.pointer, data, len(data), tokens, len(tokens), False, special)
        if count < 0 and count != -(2**31):
            tokens = (ctypes.c_int32 * -count)()
            count = self._lib.llama_tokenize(self.pointer, data, len(data), tokens, len(tokens), False, special)
        if count < 0:
            raise BadRequest("The text has too many tokens to count.", param="/messages")
        return tokens[:count]

    @cached_property
    def infill(self) -> tuple[int, int, int] | None:
        """The tokens before a prefix, before a suffix, and before the middle that is wanted; None without them."""
        lib = self._lib
        found = [
            ask(self.pointer) for ask in (lib.llama_vocab_fim_pre, lib.llama_vocab_fim_suf, lib.llama_vocab_fim_mid)
        ]
        return (found[0], found[1], found[2]) if all(0 <= token < self.n_tokens for token in found) else None

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The names of tokens that `special` finds in a text: control tokens, and those that the makers added."""
        return self._names_of(_NAMED)

    def _names_of(self, attributes: int) -> tuple[str, ...]:
        attribute = self._lib.llama_vocab_get_attr
        named = (t for t in range(self.n_tokens) if attribute(self.pointer, t) & attributes)
        return tuple(name for t in named if (name := self.label(t).decode("utf-8", "replace")))

    def detokenize(self, tokens: Sequence[int], *, special: bool = False) -> bytes:
        """The bytes of `tokens`; `special`: control tokens by name instead of nothing."""
        return b"".join(map(self.label if special else self.piece, tokens))

    def _render(self, token: int, *, special: bool) -> bytes:
        buffer = ctypes.create_string_buffer(_PIECE_BYTES)
        size = self._lib.llama_token_to_piece(self.pointer, token, buffer, len(buffer), 0, special)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = self._lib.llama_token_to_piece(self.pointer, token, buffer, len(buffer), 0, special)
        return buffer.raw[:size]


def _known(token: int) -> int | None:
    return token if token >= 0 else None


def _utf8(text: str) -> bytes:
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        culprit = f"U+{ord(text[error.start]):04X} at character {error.start}"
        raise BadRequest(
            f"The text is not valid Unicode: a lone surrogate {culprit}.",
            param="/messages",
            hint="send the text as UTF-8",
        ) from error
    if len(data) > _MAX_TEXT_BYTES:
        raise BadRequest(f"The text has {len(data)} bytes, more than {_MAX_TEXT_BYTES}.", param="/messages")
    return data


def _suppressed(lib: Any, pointer: Any, n_tokens: int) -> tuple[int, ...]:
    count = ctypes.c_int32()
    found = lib.llama_vocab_get_suppress_tokens(pointer, ctypes.byref(count))
    return tuple(token for token in found[: count.value] if 0 <= token < n_tokens) if found else ()
