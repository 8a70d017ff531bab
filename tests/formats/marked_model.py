# SPDX-License-Identifier: GPL-3.0-or-later
"""Small random models whose vocabularies have a format's marks as control tokens, and one that speaks by a grammar."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

import make_gguf
from llama_orch.engine import library
from llama_orch.engine.grammar import make_constraint
from llama_orch.engine.records import Sampling
from llama_orch.engine.sampling import make_sampler
from llama_orch.engine.text import ShownPieces, TextStream, shown_tokens
from llama_orch.engine.vocabulary import Vocabulary


def write(path: Path, marks: tuple[str, ...]) -> None:
    """A tiny model with these control tokens in the place of some of its own."""
    plain, chatml = make_gguf.bpe_vocab, make_gguf.CHATML

    def with_marks(n_vocab: int, seed: int = 0) -> make_gguf.Vocab:
        found = plain(n_vocab, seed)
        first = n_vocab - 3 - len(marks)
        lost = set(found.tokens[first : first + len(marks)])
        found.tokens[first : first + len(marks)] = marks
        found.types[first : first + len(marks)] = [3] * len(marks)
        found.merges[:] = [merge for merge in found.merges if merge.replace(" ", "") not in lost]
        return found

    try:
        make_gguf.bpe_vocab = with_marks
        make_gguf.write_decoder(str(path), "tiny", "f32", 0)
    finally:
        make_gguf.bpe_vocab, make_gguf.CHATML = plain, chatml


def open_vocabulary(path: Path):
    """The vocabulary of a GGUF, and what frees it."""
    lib = library.load()
    parameters = lib.llama_model_default_params()
    parameters.vocab_only = True
    model = lib.llama_model_load_from_file(str(path).encode(), parameters)
    pointer = lib.llama_model_get_vocab(model)
    return Vocabulary(pointer, lib.llama_vocab_n_tokens(pointer)), lambda: lib.llama_model_free(model)


def speak(vocabulary, form, held, rng, *, start="", limit=400, eager=2.0, **settings):
    """A random answer under a grammar that begins with `start` where it may, and whether it came to its end."""
    shown = shown_tokens(vocabulary, form.shown)
    sampling = replace(Sampling(seed=int(rng.integers(2**31)), **settings), **held.settings())
    sampler = make_sampler(vocabulary, sampling, constraint := make_constraint(vocabulary, sampling, shown), [])
    stream, said = TextStream(ShownPieces(vocabulary, shown)), ""
    wanted = vocabulary.tokenize(start, special=True, add_bos=False)
    likely = vocabulary.tokenize('"}]></', special=False)
    try:
        for _ in range(limit):
            row = (rng.standard_normal(vocabulary.n_tokens) * 3).astype(np.float32)
            row[list(vocabulary.ends)] += eager
            row[likely] += eager
            if wanted:
                row[wanted.pop(0)] += 60
            token = sampler.sample(row).token
            if vocabulary.is_end(token):
                return said + stream.flush(), True
            said += stream.push(token)
            if constraint.is_done():
                return said + stream.flush(), True
        return said + stream.flush(), False
    finally:
        sampler.close()
