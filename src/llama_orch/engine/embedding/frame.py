# SPDX-License-Identifier: GPL-3.0-or-later
"""From texts to the tokens that an embedding or rank model was trained on: [CLS] … [SEP], and their kin."""

from __future__ import annotations

import ctypes
import re
from types import ModuleType

from llama_orch.engine import library
from llama_orch.engine.model import Model
from llama_orch.engine.vocabulary import Vocabulary

_ROOM = 64
_PROBE = "a"
_PLACE = re.compile(r"\{(query|document)\}")
_RERANK = b"rerank"
"""The name of the chat template that a decoder-made reranker brings along (`tokenizer.chat_template.rerank`)."""


class Frame:
    """`prefix` and `suffix` are the tokens that the model wants around each text."""

    def __init__(self, model: Model, vocabulary: Vocabulary) -> None:
        lib = library.load()
        self._vocabulary = vocabulary
        self.prefix, self.suffix = surroundings(vocabulary)
        self._between = _separators(lib, vocabulary)
        template = lib.llama_model_chat_template(model.pointer, _RERANK)
        self._template: str | None = template.decode("utf-8", "replace") if template else None

    def text(self, text: str) -> list[int]:
        """One text. Names of control tokens in it become those tokens, as in the models' own tokenisers."""
        return [*self.prefix, *self._vocabulary.tokenize(text, special=True, add_bos=False), *self.suffix]

    def cut(self, tokens: list[int], most: int) -> list[int]:
        """The first `most` of a text's tokens, ended as the model wants it."""
        return [*tokens[: max(0, most - len(self.suffix))], *self.suffix][:most]

    def pair(self, query: str, document: str) -> list[int]:
        """A query and a document, as the model's rerank template writes them, or one behind the other."""
        if self._template is not None:
            return self._templated(self._template, {"query": query, "document": document})
        begin, middle, end = self._between
        plain = [self._vocabulary.tokenize(part, special=False, add_bos=False) for part in (query, document)]
        return [*begin, *plain[0], *middle, *plain[1], *end]

    def _templated(self, template: str, parts: dict[str, str]) -> list[int]:
        """The tokens of the whole text: a cut at a part's edge would make other ones.

        Only a part that names control tokens is cut out, and stays text: a document must not end its own turn.
        """
        tokenize = self._vocabulary.tokenize
        if all(tokenize(part, special=True, add_bos=False) == tokenize(part, special=False, add_bos=False)
               for part in parts.values()):  # fmt: skip
            return tokenize(_PLACE.sub(lambda place: parts[place[1]], template), special=True, add_bos=False)
        found: list[int] = []
        for index, piece in enumerate(_PLACE.split(template)):
            # The odd pieces of the split are the names of the places.
            part = tokenize(parts[piece] if index % 2 else piece, special=not index % 2, add_bos=False)
            found += part
        return found


def surroundings(vocabulary: Vocabulary) -> tuple[list[int], list[int]]:
    """The tokens that the model wants before and after a text, seen by what llama.cpp puts around a letter."""
    known: tuple[list[int], list[int]] | None = getattr(vocabulary, "surroundings", None)
    if known is not None:  # the prebuilt engine's, which has no such call
        return known
    lib = library.load()
    buffer = (ctypes.c_int32 * _ROOM)()
    data = _PROBE.encode()
    count = lib.llama_tokenize(vocabulary.pointer, data, len(data), buffer, _ROOM, True, True)
    framed, bare = buffer[: max(0, count)], vocabulary.tokenize(_PROBE, special=True, add_bos=False)
    for begin in range(len(framed) - len(bare) + 1):
        if framed[begin : begin + len(bare)] == bare:
            return framed[:begin], framed[begin + len(bare) :]
    return [], []


def _separators(lib: ModuleType, vocabulary: Vocabulary) -> tuple[list[int], list[int], list[int]]:
    """What stands before, between and after the two texts of a pair, as llama-server has it without a template."""
    pointer = vocabulary.pointer
    separator = lib.llama_vocab_sep(pointer)
    end = vocabulary.eos if vocabulary.eos is not None else separator
    begins = [vocabulary.bos] if vocabulary.adds_bos and vocabulary.bos is not None else []
    ends = [end] if lib.llama_vocab_get_add_eos(pointer) and end >= 0 else []
    middle = [*ends, separator] if lib.llama_vocab_get_add_sep(pointer) and separator >= 0 else ends
    return begins, middle, ends
