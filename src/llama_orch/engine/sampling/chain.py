# SPDX-License-Identifier: GPL-3.0-or-later
"""llama.cpp's own samplers, applied to the few candidates that can be chosen.

Order and meaning are llama-server's (llama.cpp, common/sampling.cpp): logit bias and penalties come before and edit
the row; here follow top_k, typical, top_p, min_p, temperature, and the draw (`dist`, a Mersenne twister).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_orch.engine import library
from llama_orch.engine.records import Sampling
from llama_orch.engine.sampling.candidates import Candidates, Logits
from llama_orch.engine.token_data import TokenData
from llama_orch_utils.errors import EngineFailed


class Chain:
    """The samplers of one request, and the state of its random numbers. `close` frees the C memory."""

    def __init__(self, sampling: Sampling, seed: int) -> None:
        self._lib = lib = library.load()
        self._data = TokenData()
        typical = lib.llama_sampler_init_typical(sampling.typical_p, 0) if sampling.typical_p < 1 else None
        self._filters = self._chain(
            lib.llama_sampler_init_top_k(sampling.top_k) if sampling.top_k > 0 else None,
            typical,
            lib.llama_sampler_init_top_p(sampling.top_p, 0) if sampling.top_p < 1 else None,
            *self._tail(sampling),
        )
        self._after_nucleus = self._chain(*self._tail(sampling))
        # Its own sampler, not the chain's last: both chains draw from the same sequence of random numbers.
        self._draw = lib.llama_sampler_init_dist(seed)

    def pick(self, row: Logits, candidates: Candidates) -> int:
        """A token id, drawn from the candidates by their logits in `row`."""
        ids = candidates.ids
        if not len(ids) or not self._draw:
            raise EngineFailed("There is nothing to sample from.")  # llama.cpp ends the process on either
        reference = self._data.fill(ids, row[ids], in_order=candidates.in_order)
        filters = self._after_nucleus if candidates.nucleus else self._filters
        self._lib.llama_sampler_apply(filters, reference)
        self._lib.llama_sampler_apply(self._draw, reference)
        return self._data.selected()

    def close(self) -> None:
        """Frees the samplers; a second call does nothing."""
        for sampler in (self._filters, self._after_nucleus, self._draw):
            if sampler:
                self._lib.llama_sampler_free(sampler)
        self._filters = self._after_nucleus = self._draw = None

    def _tail(self, sampling: Sampling) -> Sequence[Any]:
        min_p = self._lib.llama_sampler_init_min_p(sampling.min_p, 0) if sampling.min_p > 0 else None
        return min_p, self._lib.llama_sampler_init_temp(sampling.temperature)

    def _chain(self, *samplers: Any) -> Any:
        chain = self._lib.llama_sampler_chain_init(self._lib.llama_sampler_chain_default_params())
        for sampler in samplers:
            if sampler is not None:
                self._lib.llama_sampler_chain_add(chain, sampler)
        return chain
