# SPDX-License-Identifier: GPL-3.0-or-later
"""Log-probabilities of the distribution as the model gave it, before any bias, penalty, filter or grammar."""

from __future__ import annotations

import math

import numpy as np

from llama_orch.engine.records import TokenLogprob
from llama_orch.engine.sampling.candidates import Logits, check_maximum, most_likely, ordered
from llama_orch.engine.vocabulary import Vocabulary


class Distribution:
    """A copy of one row of logits, and the logarithm of the sum of their exponentials."""

    def __init__(self, row: Logits) -> None:
        maximum = float(row.max())
        check_maximum(maximum)
        self._row = row.copy()
        self._log_sum = maximum + math.log(float(np.exp(row - np.float32(maximum)).sum(dtype=np.float64)))

    def logprob(self, token: int) -> float:
        """The natural logarithm of the token's probability."""
        return float(self._row[token]) - self._log_sum

    def describe(self, vocabulary: Vocabulary, token: int, alternatives: int) -> TokenLogprob:
        """The token with the `alternatives` most likely ones (it may be among them), falling; equal ones by id."""
        ids = ordered(self._row, most_likely(self._row, alternatives))[:alternatives] if alternatives else ()
        top = tuple(TokenLogprob(int(t), vocabulary.label(int(t)), self.logprob(int(t))) for t in ids)
        return TokenLogprob(token, vocabulary.label(token), self.logprob(token), top)
