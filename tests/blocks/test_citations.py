# SPDX-License-Identifier: GPL-3.0-or-later
"""A citation quotes its source, or it is none."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llama_orch_utils.citations import LEAST_CHARACTERS, cite, find
from llama_orch_utils.documents import Document
from llama_orch_utils.errors import InvalidAnswer
from llama_orch_utils.grounding import particulars, stands, ungrounded

TERMS = Document(
    "terms.md", "markdown", "# Returns\n\nYou can return any product\nwithin “30 days” of delivery — unused.\n"
)


def test_a_quote_is_given_back_as_the_source_has_it() -> None:
    cited = cite('return any product within "30 days" of delivery - unused', [TERMS])
    assert cited.quote == "return any product within “30 days” of delivery — unused"
    assert str(cited) == "“return any product within “30 days” of delivery — unused” (terms.md, line 3)"
    assert cite("…product within “30 days” of…", [TERMS]).source == "terms.md"


@pytest.mark.parametrize(
    "quote",
    [
        "return any product within 60 days",  # invented
        "return any products",  # another word
        "an return any product",
        "eturn any product within",  # cut inside a word
        "any product ... delivery",  # put together of two places
        "delivery",  # proves nothing
        "",
        "!!!!!!!!!!!!!!!!!!",
    ],
)
def test_what_does_not_stand_there_is_no_citation(quote: str) -> None:
    assert find(quote, [TERMS]) is None
    with pytest.raises(InvalidAnswer) as caught:
        cite(quote, [TERMS])
    assert caught.value.text == quote


def test_a_quote_of_another_document_is_none_of_this_one() -> None:
    other = Document("other.md", "markdown", "Nothing of the kind stands here.")
    assert find("return any product", [other, TERMS]) is not None
    assert find("return any product", [other, TERMS], "other.md") is None


@given(st.text(min_size=20, max_size=200), st.data())
def test_every_stretch_between_spaces_can_be_quoted(text: str, data: st.DataObject) -> None:
    words = text.split()
    assume(words)
    first = data.draw(st.integers(0, len(words) - 1))
    quote = " ".join(words[first : first + 8])
    document = Document("a", "text", text)
    found = find(quote, [document])
    if found is not None:
        assert " ".join(found.quote.split()) in " ".join(text.split())
    elif quote.strip("\"“”'«»….") == quote:
        import unicodedata

        plain = unicodedata.normalize("NFKC", quote)
        assert sum(each.isalnum() for each in plain) < LEAST_CHARACTERS or not plain.isascii()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("We deliver before seven.", []),
        ("You won 3 prizes, see www.prize.com or mail ada@x.org.", ["www.prize.com", "ada@x.org", "3"]),
        ("With Bob in Ghent, we bake. Perhaps Acme's kitchen too?", ["Bob", "Ghent", "Acme's"]),
        ("Acme is great.", ["Acme"]),
        ("Running a kitchen is hard. I think so.", []),
    ],
)
def test_particulars_are_names_numbers_and_addresses(text: str, found: list[str]) -> None:
    assert particulars(text) == found


def test_german_nouns_are_no_names() -> None:
    assert particulars("Unser Brot kommt vor dem Frühstück zu Frau Berg und Hans Adler.", "German") == [
        "Berg",
        "Hans",
        "Adler",
    ]


def test_what_stands_in_the_sources_is_grounded() -> None:
    assert ungrounded("Ada's kitchen in Ghent has 12 tables.", ["name: ada; city: GHENT"]) == ["12"]
    assert ungrounded("It costs 30 EUR.", ["30 EUR"]) == []
    assert ungrounded("It is 30.", ["300 or 130"]) == ["30"]


@pytest.mark.parametrize(
    ("value", "text", "there"),
    [
        (1234.5, "in all 1,234.50 EUR", True), (1234.5, "zusammen 1.234,50 EUR", True), (1234, "1 234 pieces", True),
        (17, "invoice 170", False), (240, "240.00", True), (-5, "minus 5", True),
        ("acme ltd", "ACME  Ltd, Ghent", True),
        ("acme", "acmes", False), ("", "x", True),
    ],
)  # fmt: skip
def test_values_stand_in_a_text_in_their_usual_spellings(value: str | float, text: str, there: bool) -> None:
    assert stands(value, text) is there
