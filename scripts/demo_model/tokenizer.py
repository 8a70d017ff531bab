# SPDX-License-Identifier: GPL-3.0-or-later
"""The tokenizer: byte-level BPE as GPT-2's, with the three control tokens of ChatML."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CONTROL = (END_OF_TEXT, START, END)


def train_tokenizer(texts: Iterable[str], size: int) -> Tokenizer:
    """A BPE tokenizer of `size` tokens; the control tokens get the first ids."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        show_progress=False,
        special_tokens=[AddedToken(token, special=True) for token in CONTROL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"asked for {size} tokens, the texts give {tokenizer.get_vocab_size()}")
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer that `Tokenizer.save` wrote."""
    return Tokenizer.from_file(str(path))


class ChatTokens:
    """ChatML in token ids: `<|im_start|>role NEWLINE text<|im_end|>NEWLINE`."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._start = tokenizer.token_to_id(START)
        self.end = tokenizer.token_to_id(END)
        self._newline = self.text("\n")
        self.text_cached = cache(self.text)

    def text(self, text: str) -> list[int]:
        """Ids of plain text; control tokens in it are not recognised by their looks alone."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    @cache  # noqa: B019 - three roles, one instance
    def header(self, role: str) -> list[int]:
        """Ids that open a message."""
        return [self._start, *self.text(f"{role}\n")]

    def message(self, role: str, text: str) -> list[int]:
        """Ids of a whole message."""
        return [*self.header(role), *self.text(text), self.end, *self._newline]

    def answer(self, text: str) -> list[int]:
        """Ids that the model must produce after the assistant's header."""
        return [*self.text_cached(text), self.end]

    @property
    def newline(self) -> list[int]:
        """Ids between two messages."""
        return self._newline
