# SPDX-License-Identifier: GPL-3.0-or-later
"""The draft: a smaller model of the same vocabulary, which guesses how a text goes on."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from llama_orch.engine import library
from llama_orch.engine.batch import Batch
from llama_orch.engine.context import Context, Dimensions
from llama_orch.engine.model import Model
from llama_orch.engine.records import EngineOptions
from llama_orch_utils.errors import EngineFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SURE = 0.5
"""A guess that the draft itself gives less than this is not worth its row."""
_PAD = 256
_MUCH = 32
"""Tokens to read that are more than one round leaves behind."""


class Draft:
    """Has one sequence, and in its cells the text that it was asked about last. Lives on the decode thread.

    `sure` is the probability that it must give a guess itself. `behind`: it had much to read when it was asked last.
    """

    def __init__(self, model: Model, context: Context) -> None:
        self._model, self._context = model, context
        self._batch = Batch(context)
        self._held = np.zeros(context.dimensions.context, np.int32)
        self._ready = 0
        self.sure = _SURE
        self.behind = False

    @classmethod
    def load(cls, path: Path, main: Model, dimensions: Dimensions, options: EngineOptions) -> Draft:
        """The draft at `path` for `main`. Raises EngineFailed for a model that cannot guess for it."""
        with _said(path):
            model = Model.load(path, options)  # where the main model lies, the draft lies as well
        try:
            _check(model, main)
            with _said(path):
                return cls(model, Context(model, _dimensions(dimensions)))
        except BaseException:
            model.close()
            raise

    def guess(self, text: NDArray[np.int32], most: int) -> list[int]:
        """Up to `most` tokens that may follow; none where it is not sure, or has yet to read more of `text`.

        It reads no more than one pass at a time: the answer that it helps does not wait for it.
        """
        row = self._read(text)
        guesses: list[int] = []
        while row is not None:
            token = int(row.argmax())
            if _probability(row, token) < self.sure:
                break
            guesses.append(token)
            if len(guesses) == most or self._ready >= len(self._held):
                break
            row = self._compute(np.array([token], np.int32))
        return guesses

    def close(self) -> None:
        """Frees what C holds."""
        self._context.close()
        self._model.close()

    def _read(self, text: NDArray[np.int32]) -> NDArray[np.float32] | None:
        """The logits behind `text`; None while more of it is to be read, or where it has no room."""
        self.behind = False
        if len(text) > len(self._held):
            return None
        common = min(self._ready, len(text) - 1)
        differs = np.flatnonzero(self._held[:common] != text[:common])
        self._cut(int(differs[0]) if len(differs) else common)
        chunk = text[self._ready : self._ready + self._batch.pass_rows]
        self.behind = len(chunk) > _MUCH
        whole = self._ready + len(chunk) == len(text)
        row = self._compute(chunk)
        return row if whole else None

    def _compute(self, tokens: NDArray[np.int32]) -> NDArray[np.float32] | None:
        self._batch.clear()
        self._batch.add_prefill(tokens, self._ready, 0, sampled=True)
        if self._batch.decode() != 0:
            self._cut(0)
            return None
        self._held[self._ready : self._ready + len(tokens)] = tokens
        self._ready += len(tokens)
        return self._batch.logits()[0]

    def _cut(self, length: int) -> None:
        """Forgets what is beyond the first `length` tokens."""
        lib, memory = self._context.lib, self._context.memory
        if length == 0 or not lib.llama_memory_seq_rm(memory, 0, length, -1):
            lib.llama_memory_seq_rm(memory, 0, -1, -1)
            length = 0
        self._ready = length


_HINT = "take a smaller model of the same family, or leave --draft away"


@contextlib.contextmanager
def _said(path: Path) -> Generator[None]:
    """An error says that it is about the draft; one of memory keeps its numbers."""
    try:
        yield
    except EngineFailed as error:
        if error.code == "out_of_memory":
            raise
        raise EngineFailed(
            f"The draft model {path} cannot be used: {error.message}", hint=_HINT, last_words=error.last_words
        ) from error


def _dimensions(main: Dimensions) -> Dimensions:
    return Dimensions(
        context=main.context,
        slots=1,
        cells=-(-main.context // _PAD) * _PAD,
        sequences=1,
        unified=True,
        threads=main.threads,
        batch=min(main.batch, 512),
        micro_batch=min(main.micro_batch, 512),
    )


def _check(draft: Model, main: Model) -> None:
    """Token for token the same vocabulary: a guess is an id, and must mean the same to both."""
    if draft.card.recurrent or main.card.recurrent:
        raise EngineFailed(
            f"{(draft if draft.card.recurrent else main).path} cannot take a guess back: its state is recurrent.",
            hint=_HINT,
        )
    if draft.card.vocabulary == main.card.vocabulary:
        text = library.load().llama_vocab_get_text
        if all(text(draft.vocabulary, each) == text(main.vocabulary, each) for each in range(main.card.vocabulary)):
            return
    raise EngineFailed(
        f"The draft model {draft.path} has another vocabulary than {main.path}: it cannot guess for it.",
        hint=_HINT,
    )


def _probability(row: NDArray[np.float32], token: int) -> float:
    """That of the most likely token."""
    total = float(np.exp(row - row[token]).sum(dtype=np.float64))
    return 1.0 / total if math.isfinite(total) and total > 0 else 0.0
