# SPDX-License-Identifier: GPL-3.0-or-later
"""Real vocabularies, real samplers: what llama.cpp itself does is what ours is held against."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from llama_orch.engine import library
from llama_orch.engine.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def vocabulary(tiny_gguf: Path) -> Iterator[Vocabulary]:
    lib = library.load()
    parameters = lib.llama_model_default_params()
    parameters.vocab_only = True
    model = lib.llama_model_load_from_file(str(tiny_gguf).encode(), parameters)
    pointer = lib.llama_model_get_vocab(model)
    yield Vocabulary(pointer, lib.llama_vocab_n_tokens(pointer))
    lib.llama_model_free(model)


class PlainChain:
    """llama.cpp's samplers over the whole vocabulary, in llama-server's order: the reference."""

    def __init__(self, sampling, seed, *, n_tokens, prompt=()):
        self.lib = lib = library.load()
        self.chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        biases = (lib.llama_logit_bias * max(1, len(sampling.logit_bias)))()
        for slot, (token, bias) in zip(biases, sampling.logit_bias.items(), strict=False):
            slot.token, slot.bias = token, bias
        for sampler in (
            lib.llama_sampler_init_logit_bias(n_tokens, len(sampling.logit_bias), biases),
            lib.llama_sampler_init_penalties(
                n_tokens,
                sampling.repeat_last_n if sampling.repeat_last_n >= 0 else 100_000,
                sampling.repeat_penalty,
                sampling.frequency_penalty,
                sampling.presence_penalty,
            ),
            lib.llama_sampler_init_top_k(sampling.top_k),
            lib.llama_sampler_init_typical(sampling.typical_p, 0),
            lib.llama_sampler_init_top_p(sampling.top_p, 0),
            lib.llama_sampler_init_min_p(sampling.min_p, 0),
            lib.llama_sampler_init_temp(sampling.temperature),
            lib.llama_sampler_init_dist(seed),
        ):
            lib.llama_sampler_chain_add(self.chain, sampler)
        for token in prompt:
            lib.llama_sampler_accept(self.chain, token)

    def sample(self, row):
        data = (self.lib.llama_token_data * len(row))()
        view = np.frombuffer(data, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        view["id"], view["logit"] = np.arange(len(row)), row
        array = self.lib.llama_token_data_array(data, len(row), -1, False)
        self.lib.llama_sampler_apply(self.chain, ctypes.byref(array))
        token = array.data[array.selected].id
        self.lib.llama_sampler_accept(self.chain, token)
        return token

    def close(self):
        self.lib.llama_sampler_free(self.chain)


@pytest.fixture
def plain_chain():
    made = []

    def make(sampling, seed, **more):
        made.append(PlainChain(sampling, seed, **more))
        return made[-1]

    yield make
    for chain in made:
        chain.close()
