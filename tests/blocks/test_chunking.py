# SPDX-License-Identifier: GPL-3.0-or-later
"""Passages: never too long, never a word lost, places kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_utils import Client
from llama_orch_utils.chunking import answer_tokens, counter, cut, fitting, passages, rate
from llama_orch_utils.documents import Document
from llama_orch_utils.errors import BadRequest, ContextTooLong
from llama_orch_utils.testing import FakeTap


def words(text: str) -> int:
    return len(text.split())


def letters(text: str) -> int:
    return len(text)


@given(st.text(alphabet="ab .\n\té漢", max_size=400), st.integers(1, 40))
def test_passages_hold_every_word_and_no_more_than_they_may(text: str, most: int) -> None:
    spans = list(cut(text, most, letters))
    assert all(end - start <= most and text[start:end].strip() == text[start:end] for start, end in spans)
    assert [a for a, _ in spans] == sorted(a for a, _ in spans)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())


def test_the_best_border_is_taken() -> None:
    text = "One two. Three four.\n\nFive six seven."
    assert [text[a:b] for a, b in cut(text, 5, words)] == ["One two. Three four.", "Five six seven."]


def test_a_passage_knows_its_source_and_line() -> None:
    document = Document("a.md", "markdown", "\n".join(f"line {at} has some words" for at in range(1, 41)))
    found = list(passages([document], 20, words))
    assert len(found) > 5
    for each in found:
        assert each.text == document.text[each.start : each.end]
        assert each.text.startswith(f"line {each.place.number} ")


def test_tokens_that_hold_nothing_are_an_error() -> None:
    with pytest.raises(BadRequest, match="no text"):
        list(cut("漢字", 1, lambda text: 3 * len(text)))
    with pytest.raises(BadRequest):
        list(cut("a", 0, letters))


def test_the_target_counts_and_a_guess_stands_in_where_it_does_not(orch_home: object) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        assert counter(client)("three plain words") == 3
    with FakeTap() as tap, Client(tap.url) as client:
        tap.models = ("a", "b")
        document = Document("a", "text", "word " * 5000)
        assert len(fitting(document, client, "frame", 100)) == 1
        assert answer_tokens(client, 500) == 500


def test_a_document_is_cut_to_the_context_of_a_real_model(orch_home: object) -> None:
    """The demo model has 512 tokens of context."""
    document = Document("a", "text", "The worker answers. " * 300)
    with Client("local") as client:
        assert answer_tokens(client, 1000) == 256
        parts = fitting(document, client, "Read this:", 256)
        assert len(parts) > 3
        assert all(client.count_tokens(each.text) <= 256 for each in parts)
        assert sum(each.text.count("worker") for each in parts) == 300
        with pytest.raises(ContextTooLong):
            fitting(document, client, "frame " * 100, 400)


def test_a_rate_is_learnt_with_one_request(orch_home: object) -> None:
    documents = [Document(f"{at}", "text", "some words here " * 500) for at in range(30)]
    with FakeTap() as tap, Client(tap.url) as client:
        count = rate(client, documents)
        found = list(passages(documents, 100, count))
        assert len([each for each in tap.asked if each.path.endswith("input_tokens")]) == 1
        assert max(words(each.text) for each in found) <= 100
        assert min(words(each.text) for each in found[:10]) > 60
        assert rate(client, [])("any words") >= 0
