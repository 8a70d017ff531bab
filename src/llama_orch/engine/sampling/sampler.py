# SPDX-License-Identifier: GPL-3.0-or-later
"""One request's sampler: a row of logits in, a token out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llama_orch.engine.grammar import Constraint
from llama_orch.engine.records import Sampling, TokenLogprob
from llama_orch.engine.sampling import candidates, parameters
from llama_orch.engine.sampling.candidates import Candidates, Logits
from llama_orch.engine.sampling.chain import Chain
from llama_orch.engine.sampling.logprobs import Distribution
from llama_orch.engine.sampling.penalties import Biases, Penalties
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import BadRequest

_GREEDY_RIVALS = 64
"""How many of the most likely tokens a grammar is asked about before the whole vocabulary is."""


class Sampled(NamedTuple):
    """The token, and its log-probability with its rivals' when the request wants them."""

    token: int
    logprobs: TokenLogprob | None


class Sampler(ABC):
    """Draws one request's tokens, and remembers them (penalties, grammar). Not thread-safe. `close` frees C memory."""

    def __init__(
        self, vocabulary: Vocabulary, sampling: Sampling, constraint: Constraint | None, prompt_tokens: Sequence[int]
    ) -> None:
        self._vocabulary, self._constraint = vocabulary, constraint
        self._alternatives = sampling.logprobs
        self._biases = Biases(sampling, vocabulary.suppressed)
        self._penalties = Penalties(sampling, prompt_tokens) if Penalties.wanted(sampling) else None
        self._plain = not (self._biases or self._penalties or constraint) and sampling.logprobs is None

    def sample(self, logits: Logits) -> Sampled:
        """The next token of a row of `n_tokens` logits; the row may be edited in place.

        Raises EngineFailed for logits that are no numbers, BadRequest where the request forbids every token.
        """
        if self._plain:
            return Sampled(self._choose(logits), None)
        before = Distribution(logits) if self._alternatives is not None else None
        if self._biases:
            self._biases.apply(logits)
        if self._penalties:
            self._penalties.apply(logits)
        token = self._choose(logits) if self._constraint is None else self._choose_allowed(logits, self._constraint)
        if self._penalties:
            self._penalties.accept(token)
        if before is None or self._alternatives is None:
            return Sampled(token, None)
        return Sampled(token, before.describe(self._vocabulary, token, self._alternatives))

    def close(self) -> None:
        """Frees what C holds, the constraint's too; a second call does nothing."""
        if self._constraint is not None:
            self._constraint.close()

    def _choose_allowed(self, row: Logits, constraint: Constraint) -> int:
        constraint.mask(row)
        token = self._choose(row)
        if not constraint.allows(token):
            token = self._choose_again(row, constraint)
        constraint.accept(token)
        return token

    def _choose_again(self, row: Logits, constraint: Constraint) -> int:
        """Among the candidates that the grammar allows; among the whole vocabulary's where it allows none of them."""
        survivors = self._candidates(row)
        allowed = constraint.allowed(survivors.ids)
        if len(allowed):
            return self._choose_among(row, survivors._replace(ids=allowed))
        allowed = constraint.allowed(np.flatnonzero(row > -np.inf))
        masked = np.full_like(row, -np.inf)
        masked[allowed] = row[allowed]
        return self._choose(masked)

    def _choose(self, row: Logits) -> int:
        return self._choose_among(row, self._candidates(row))

    @abstractmethod
    def _candidates(self, row: Logits) -> Candidates: ...

    @abstractmethod
    def _choose_among(self, row: Logits, choice: Candidates) -> int: ...


class GreedySampler(Sampler):
    """Always the most likely token; of equals, the one with the lowest id."""

    def _choose(self, row: Logits) -> int:
        token = int(row.argmax())  # a NaN, where there is one: argmax finds it
        candidates.check_maximum(float(row[token]))
        return token

    def _candidates(self, row: Logits) -> Candidates:
        return Candidates(candidates.ordered(row, candidates.most_likely(row, _GREEDY_RIVALS)), in_order=True)

    def _choose_among(self, row: Logits, choice: Candidates) -> int:  # noqa: ARG002
        return int(choice.ids[0])


class ChainSampler(Sampler):
    """A draw by llama.cpp's chain from the candidates that can be chosen."""

    def __init__(
        self, vocabulary: Vocabulary, sampling: Sampling, constraint: Constraint | None, prompt_tokens: Sequence[int]
    ) -> None:
        super().__init__(vocabulary, sampling, constraint, prompt_tokens)
        self._sampling = sampling
        self._chain = Chain(sampling, parameters.seed_of(sampling))

    def close(self) -> None:
        """As the base class."""
        super().close()
        self._chain.close()

    def _candidates(self, row: Logits) -> Candidates:
        sampling = self._sampling
        if sampling.top_k > 0:
            return Candidates(candidates.most_likely(row, sampling.top_k))
        if sampling.typical_p < 1:  # its entropy is the whole vocabulary's
            return Candidates(candidates.most_likely(row, len(row)))
        if sampling.top_p < 1:
            return candidates.nucleus(row, sampling.top_p, sampling.min_p)
        if sampling.min_p > 0:
            return Candidates(candidates.within(row, sampling.min_p))
        return Candidates(candidates.most_likely(row, len(row)))

    def _choose_among(self, row: Logits, choice: Candidates) -> int:
        return self._chain.pick(row, choice)


def make_sampler(
    vocabulary: Vocabulary, sampling: Sampling, constraint: Constraint | None, prompt_tokens: Sequence[int]
) -> Sampler:
    """The sampler of one request; it takes the constraint over, and closes it with itself, or when this fails.

    The same seed and the same rows give the same tokens. Raises BadRequest for parameters out of range.
    """
    try:
        parameters.check(sampling, vocabulary.n_tokens)
    except BadRequest:
        if constraint is not None:
            constraint.close()
        raise
    kind = GreedySampler if parameters.is_greedy(sampling) else ChainSampler
    return kind(vocabulary, sampling, constraint, prompt_tokens)
