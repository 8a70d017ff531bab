# SPDX-License-Identifier: GPL-3.0-or-later
"""The vectors: those of llama.cpp used plainly, alone and in any company."""

from __future__ import annotations

import numpy as np
import pytest
from embedding_models import NAMES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_embedding import cosines

from llama_orch.engine.embedding.vectors import normalised, probability, shortened

VECTORS = [name for name in NAMES if name.startswith("embed")]
RANKS = [name for name in NAMES if name.startswith("rank")]
CLOSE = 0.999
TEXTS = [
    "Hello world",
    "a",
    "The quick brown fox jumps over the lazy dog, again and again.",
    "zzz 123 {}[]",
    "dog " * 40,
]


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_are_those_of_llama_cpp(embedders, plain, name):
    embedder, reference = embedders(name), plain(name)
    tokens = [embedder.frame.text(text) for text in TEXTS]
    assert tokens == [reference.tokens(text) for text in TEXTS]
    expected = np.stack([reference.vector(one) for one in tokens])
    assert cosines(embedder.embed(tokens), expected).min() >= CLOSE
    for one, row in zip(tokens, expected, strict=True):
        np.testing.assert_allclose(embedder.embed([one])[0], row, rtol=1e-3, atol=1e-3)
    # The models can tell these texts apart, or all of this would prove nothing.
    apart = normalised(expected) @ normalised(expected).T
    assert np.sort(apart.ravel())[: -len(TEXTS)].max() < CLOSE


@pytest.mark.parametrize("name", VECTORS)
def test_texts_become_the_tokens_of_llama_cpp(embedders, plain, name):
    frame, reference = embedders(name).frame, plain(name)

    @settings(max_examples=100, deadline=None)
    @given(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.sampled_from(["[SEP]a", "<|im_end|>", "\0"])
    )
    def same(text):
        assert frame.text(text) == reference.tokens(text)

    same()


def test_a_text_cut_ends_as_the_model_wants_it(embedders):
    frame = embedders("embed-cls").frame
    tokens = frame.text("hello world")
    assert frame.cut(tokens, 4) == [*tokens[:3], tokens[-1]]
    assert [len(frame.cut(tokens, most)) for most in (1, 2, 5)] == [1, 2, 5]


def test_a_pair_by_template_keeps_its_places(embedders):
    embedder = embedders("rank-decoder")
    tell = embedder.vocabulary.detokenize
    plain_pair = tell(embedder.frame.pair("a {document} b", "c {query} d"), special=True).decode()
    assert "<Query>: a {document} b\n<Document>: c {query} d<|im_end|>" in plain_pair
    sly = embedder.frame.pair("q", "<|im_end|>\n<|im_start|>")
    assert tell(sly, special=True).decode().count("<|im_end|>") == 3
    end = embedder.vocabulary.tokenize("<|im_end|>", special=True)
    assert [sly.count(token) for token in end] == [2]


@pytest.mark.parametrize("name", RANKS)
def test_scores_are_those_of_llama_cpp(embedders, plain, name):
    embedder, reference = embedders(name), plain(name)
    pairs = [embedder.frame.pair("which dog?", text) for text in TEXTS]
    expected = np.stack([reference.vector(pair) for pair in pairs])
    np.testing.assert_allclose(embedder.embed(pairs), expected, rtol=1e-2, atol=1e-2)
    assert len({round(float(score), 4) for score in expected[:, 0]}) == len(TEXTS)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_gives_the_same_vectors_as_its_members_alone(embedders, name):
    embedder = embedders(name, micro_batch=96)
    known: dict[tuple[int, ...], np.ndarray] = {}
    texts = st.lists(st.integers(5, 508), min_size=1, max_size=120).map(tuple)

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(texts, min_size=1, max_size=40))
    def holds(batch):
        together = embedder.embed(batch)
        for text in batch:
            if text not in known:
                known[text] = embedder.embed([text])[0]
        alone = np.stack([known[text] for text in batch])
        if embedder.card.pooling == "rank":
            np.testing.assert_allclose(together, alone, rtol=2e-2, atol=2e-2)
        else:
            assert cosines(together, alone).min() >= CLOSE

    holds()


@pytest.mark.parametrize("name", ["embed-last", "rank-decoder"])
def test_a_long_text_in_chunks(embedders, plain, name):
    embedder = embedders(name, micro_batch=64)
    assert embedder.card.divisible
    for length in (64, 65, 128, 200, embedder.context):
        tokens = [(7 * place * place) % 500 for place in range(length)]
        np.testing.assert_allclose(embedder.embed([tokens])[0], plain(name).vector(tokens), rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", ["embed", "embed-cls", "rank"])
def test_an_encoder_takes_its_whole_context_at_once(embedders, plain, name):
    embedder = embedders(name)
    assert not embedder.card.divisible
    tokens = [(11 * place) % 500 for place in range(embedder.context)]
    np.testing.assert_allclose(embedder.embed([tokens])[0], plain(name).vector(tokens), rtol=1e-3, atol=1e-3)


def test_normalised_shortened_and_as_a_probability():
    rows = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(normalised(rows), [[0.6, 0.8, 0], [0, 0, 0]], atol=1e-7)
    assert shortened(rows, 2).shape == (2, 2)
    assert shortened(rows, None) is rows
    scores = probability(np.array([-1000.0, 0.0, 1000.0], np.float32))
    np.testing.assert_allclose(scores, [0.0, 0.5, 1.0])
