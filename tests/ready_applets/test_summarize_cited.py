# SPDX-License-Identifier: GPL-3.0-or-later
"""`summarize --cite`: points that each quote the text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llama_orch_applet_summarize import summarize
from llama_orch_utils import Client
from llama_orch_utils.errors import InvalidAnswer
from llama_orch_utils.testing import FakeTap

TEXT = "Parcels come back within 30 days.\nShipping costs 4.90 EUR.\nSupport answers until five o'clock.\n"


def point(text: str, quote: str) -> dict[str, str]:
    return {"text": text, "quote": quote}


POINTS: list[dict[str, Any]] = [
    point("Returns: 30 days.", "come back within 30 days"),
    point("It is free.", "everything is free of charge"),
    point("Shipping is 4.90 EUR.", "Shipping costs 4.90 EUR"),
    point("Support ends at five.", "answers until five o’clock"),
]


def test_every_point_quotes_the_text_and_invented_ones_are_left_out(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json({"points": POINTS})
        found = summarize({"text": TEXT, "cite": True}, client=client)
        assert found.summary == "Returns: 30 days. [1] Shipping is 4.90 EUR. [2] Support ends at five. [3]"
        assert [(each.place, each.quote) for each in found.citations][2] == ("line 3", "answers until five o'clock")
        assert found.dropped == 1
        assert str(found).endswith("[3] line 3: “answers until five o'clock”")


def test_the_most_important_points_are_chosen_not_rewritten(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json({"points": POINTS}).json({"keep": [3, 99, 1, 2]})
        found = summarize({"text": TEXT, "cite": True, "length": "short"}, client=client)
        assert found.summary == "Returns: 30 days. [1] Support ends at five. [2]"
        tap.json({"points": POINTS}).json({"keep": []})
        assert len(summarize({"text": TEXT, "cite": True, "length": "short"}, client=client).citations) == 1


def test_a_summary_of_inventions_is_none(orch_home: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json({"points": POINTS[1:2]})
        with pytest.raises(InvalidAnswer, match="no point"):
            summarize({"text": TEXT, "cite": True}, client=client)
