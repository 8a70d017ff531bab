# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking things up: by words, by meaning, by both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from llama_orch_utils import Client
from llama_orch_utils.chunking import Passage
from llama_orch_utils.documents import Document
from llama_orch_utils.retrieval import Index
from llama_orch_utils.retrieval.words import Words, terms
from llama_orch_utils.testing import FakeTap

TEXTS = ["Parcels come back within 30 days.", "We ship to Belgium.", "Descale the machine with citric acid."]


def passages(texts: Sequence[str]) -> list[Passage]:
    documents = [Document(f"{at}.txt", "text", text) for at, text in enumerate(texts)]
    return [Passage(each, 0, len(each.text), each.text) for each in documents]


def test_words_find_the_passage_that_shares_them() -> None:
    hits = Index(passages(TEXTS)).search("How do I descale my machine?")
    assert [(hit.passage.source, hit.by) for hit in hits] == [("2.txt", ("words",))]


def test_nothing_shared_nothing_found() -> None:
    index = Index(passages(TEXTS))
    assert index.ways == ("words",)
    assert index.search("bicycles") == []
    assert index.search("") == []
    assert Index([]).search("anything") == []
    assert Index(passages(["…", "!!!"])).search("anything") == []


def test_words_of_any_script_and_case() -> None:
    assert terms("Große ÄPFEL, Straße") == ["grosse", "äpfel", "strasse"]
    assert Words(["私は猫が好きです", "犬が好きです"]).search("猫")[:1] in ([], [0])
    assert Words(["私は猫が好きです", "犬がいます"]).search("好きな")[:1] == [0]


def test_meaning_is_merged_where_the_target_embeds(orch_home: Path) -> None:
    with FakeTap(models=("bge",), capabilities=("embedding",)) as tap, Client(tap.url) as client:
        tap.vectors((1.0, 0.0), (0.0, 1.0), (0.6, 0.8)).vectors((0.0, 2.0))
        index = Index(passages(TEXTS), client)
        assert index.ways == ("words", "meaning")
        hits = index.search("To which countries do you ship?")
        assert [(hit.passage.source, hit.by) for hit in hits] == [
            ("1.txt", ("words", "meaning")),
            ("2.txt", ("meaning",)),
        ]
        assert [each.json["model"] for each in tap.asked if each.path.endswith("embeddings")] == ["bge", "bge"]


def test_a_target_that_embeds_nothing_is_not_asked_to(orch_home: Path) -> None:
    with FakeTap(capabilities=("tools",)) as tap, Client(tap.url) as client:
        assert Index(passages(TEXTS), client).ways == ("words",)
        assert not [each for each in tap.asked if each.path.endswith("embeddings")]


@settings(max_examples=30)
@given(st.lists(st.text(max_size=60), max_size=8), st.text(max_size=30), st.integers(1, 9))
def test_any_texts_can_be_searched_and_the_answer_is_stable(texts: list[str], query: str, most: int) -> None:
    index = Index(passages(texts))
    hits = index.search(query, most)
    assert hits == index.search(query, most)
    assert len(hits) <= most
    assert all(set(terms(query)) & set(terms(hit.passage.text)) for hit in hits)
