# SPDX-License-Identifier: GPL-3.0-or-later
"""`outreach`: every personal detail comes from the row, or there is no message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_applet_outreach import outreach
from llama_orch_applet_outreach.facts import Draft, faults_of
from llama_orch_utils import Client
from llama_orch_utils.errors import BadRequest, InvalidAnswer
from llama_orch_utils.testing import FakeTap

BRIEF = "We bake sourdough bread for restaurants, and deliver before seven. A first box is free."
ROW = {"name": "Ada Peeters", "company": "Brasserie Lys", "city": "Ghent", "guests": 120}
GOOD: dict[str, Any] = {
    "subject": "Bread before seven",
    "opening": {
        "text": "A kitchen like Brasserie Lys needs bread early.",
        "column": "company",
        "quote": "Brasserie Lys",
    },
    "body": ["We bake sourdough bread for restaurants.", "It is there before seven, and the first box is free."],
    "closing": "Would you like to try a box?",
}


def test_the_message_is_put_together_from_what_is_known(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json(GOOD)
        letter = outreach({**ROW, "brief": BRIEF}, client=client)
        assert letter.text == (
            "Hello Ada Peeters,\n\nA kitchen like Brasserie Lys needs bread early.\n\n"
            "We bake sourdough bread for restaurants. It is there before seven, and the first box is free.\n\n"
            "Would you like to try a box?"
        )
        assert [each.model_dump() for each in letter.details] == [
            {"column": "name", "words": "Ada Peeters"},
            {"column": "company", "words": "Brasserie Lys"},
        ]
        prompt = tap.asked[-1].messages[-1]["content"]
        assert "city: Ghent\nguests: 120" in prompt
        schema = tap.asked[-1].json["response_format"]["json_schema"]["schema"]
        assert schema["$defs"]["Opening"]["properties"]["column"]["enum"] == ["name", "company", "city", "guests"]


def test_a_quote_in_other_capitals_is_told_as_the_row_has_it(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json({**GOOD, "opening": {"text": "To brasserie lys!", "column": "company", "quote": "brasserie  lys"}})
        tap.json({**GOOD, "opening": {"text": "We like brasserie lys.", "column": "company", "quote": "brasserie lys"}})
        letter = outreach({**ROW, "company": "Brasserie  Lys", "brief": BRIEF}, client=client)
        assert letter.details[1].words == "Brasserie Lys"


def changed(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


def opening(text: str, column: str = "company", quote: str = "Brasserie Lys") -> dict[str, Any]:
    return changed(opening={"text": text, "column": column, "quote": quote})


INVENTED = [
    opening("Brasserie Lys won a Michelin star."),  # a name that nobody gave
    opening("With your 45 tables, Brasserie Lys needs bread."),  # a number
    opening("I saw that Brasserie Lys is full every night."),  # an observation
    opening("Your kitchen is the best in town."),  # quotes nothing
    opening("Your kitchen in Paris is lovely.", "city", "Paris"),  # a quote that is not in the row
    opening("Brasserie Lys is lovely.", "city"),  # of another column
    opening("Ghen is nice.", "city", "Ghen"),  # half a word
    changed(subject="Congratulations on your award"),
    changed(body=["Your colleague Tom told us about you."]),
    changed(body=["Your recent expansion is impressive."]),
    changed(closing="Shall I call you on +32 9 555 01 02?"),
    changed(closing="Write to ada@lys.example, please."),
    changed(body=["We met last week at the fair."]),
    changed(body=["The Belgian Bakers Guild recommends us."]),
]


@pytest.mark.parametrize("draft", INVENTED)
def test_an_invented_detail_is_sent_back_and_never_given_out(orch_home: Path, draft: dict[str, Any]) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json(draft).json(GOOD)
        assert outreach({**ROW, "brief": BRIEF}, client=client).subject == GOOD["subject"]
        assert "cannot be sent" in tap.asked[-1].messages[-1]["content"]
        tap.json(draft).json(draft)
        with pytest.raises(InvalidAnswer, match="what its row does not hold"):
            outreach({**ROW, "brief": BRIEF}, client=client)


def test_a_detail_that_the_row_gives_may_be_said(orch_home: Path) -> None:
    row = {**ROW, "notes": "won the Golden Crust award in 2025"}
    draft = opening(
        "Congratulations: you won the Golden Crust award in 2025.", "notes", "won the Golden Crust award in 2025"
    )
    assert faults_of(Draft(**draft), {k: str(v) for k, v in row.items()}, BRIEF, "English") == [
        "“Congratulations” is neither in the row nor in the offer",
        "“Congratulations” claims what nobody told us",
    ]
    draft = opening("You won the Golden Crust award in 2025.", "notes", "won the Golden Crust award in 2025")
    assert faults_of(Draft(**draft), {k: str(v) for k, v in row.items()}, BRIEF, "English") == []


@given(st.from_regex(r"[A-Z][a-z]{2,8}", fullmatch=True), st.integers(10, 9999))
def test_no_name_and_no_number_slips_through(name: str, number: int) -> None:
    """Wherever it stands in a sentence but at its very beginning, and whatever it is."""
    row = {"company": "Brasserie Lys"}
    known = {word.casefold() for word in re.findall(r"\w+", BRIEF + " brasserie lys")}
    if name.casefold() in known:
        return
    for sentence in (f"Our bread is liked by {name}.", f"We know {number} of you.", f"As {name} says, it is good."):
        faults = faults_of(Draft(**changed(body=[sentence])), row, BRIEF, "English")
        assert faults, sentence


@pytest.mark.parametrize("given_", [{"brief": BRIEF}, {"brief": "", **ROW}, {"brief": BRIEF, "name": " "}, ROW])
def test_a_row_that_says_nothing_costs_nothing(orch_home: Path, given_: dict[str, Any]) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        with pytest.raises(BadRequest):
            outreach(given_, client=client)
        assert not [each for each in tap.asked if each.path.endswith("completions")]
