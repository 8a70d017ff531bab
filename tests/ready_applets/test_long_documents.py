# SPDX-License-Identifier: GPL-3.0-or-later
"""What does not fit a model's context is read part by part, and no part is lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llama_orch_applet_brief import brief
from llama_orch_applet_extract import extract
from llama_orch_applet_minutes import minutes
from llama_orch_applet_summarize import summarize
from llama_orch_utils import Client
from llama_orch_utils.errors import AppletError
from llama_orch_utils.testing import FakeTap

LINES = [f"Ada: number {at} is what we talk about in this line here." for at in range(300)]
TEXT = "\n".join(LINES)


def prompts(tap: FakeTap) -> list[str]:
    return [each.messages[-1]["content"] for each in tap.asked if each.path.endswith("chat/completions")]


def numbers(prompt: str) -> list[int]:
    return [int(each) for each in re.findall(r"number (\d+)", prompt)]


def test_minutes_of_a_long_meeting_hear_every_line_once(orch_home: Path) -> None:
    """The fake tap counts words as tokens: of 3600 words, at most 900 less the answer fit."""
    with FakeTap(context=1600) as tap, Client(tap.url) as client:
        minutes({"text": TEXT}, client=client)
        parts = prompts(tap)
        assert len(parts) > 4
        assert [each for part in parts for each in numbers(part)] == list(range(300))
        assert all(len(part.split()) <= 800 for part in parts)


def test_the_rows_of_all_parts_are_in_the_table(orch_home: Path) -> None:
    with FakeTap(context=1600) as tap, Client(tap.url) as client:
        tap.json({"rows": [{"number": 1}]}).json({"rows": [{"number": 150}, {"number": 151}]})
        job = {"text": TEXT, "columns": "number integer", "many": True}
        table = extract(job, client=client)
        assert [each.cells["number"] for each in table.rows] == [1, 150, 151]
        assert table.rows[0].place == "line 1"
        assert len(prompts(tap)) > 4
        tap.json({"rows": [{"number": None}]}).json({"rows": [{"number": 150}]}).json({"rows": [{"number": 7}]})
        assert [each.cells["number"] for each in extract({**job, "many": False}, client=client).rows] == [150]


def test_a_brief_of_long_notes_is_made_of_notes_of_all_parts(orch_home: Path) -> None:
    with FakeTap(context=1600) as tap, Client(tap.url) as client:
        for at in range(5):
            tap.json({"notes": [f"note {at}"]})
        assert brief({"text": TEXT}, client=client).title == ""
        assert "note 0\nnote 1\nnote 2\nnote 3\nnote 4" in prompts(tap)[-1]
        assert [each for part in prompts(tap)[:-1] for each in numbers(part)] == list(range(300))
        for _ in range(5):
            tap.json({"notes": ["long " * 900]})
        with pytest.raises(AppletError, match="no shorter"):
            brief({"text": TEXT}, client=client)


def test_points_of_all_parts_are_in_the_summary(orch_home: Path) -> None:
    with FakeTap(context=1600) as tap, Client(tap.url) as client:
        for at in (5, 100, 299):
            tap.json({"points": [{"text": f"It is {at}.", "quote": f"number {at} is what we talk about"}]})
        found = summarize({"text": TEXT, "cite": True}, client=client)
        assert found.summary == "It is 5. [1] It is 100. [2] It is 299. [3]"
        assert [each.place for each in found.citations] == ["line 6", "line 101", "line 300"]
        assert [each for part in prompts(tap) for each in numbers(part)] == list(range(300))


def test_a_target_that_counts_no_tokens_is_read_by_a_guess(orch_home: Path) -> None:
    with FakeTap(context=4000, counts=False) as tap, Client(tap.url) as client:
        minutes({"text": TEXT}, client=client)
        assert [each for part in prompts(tap) for each in numbers(part)] == list(range(300))
        tap.answer("Short.")
        assert summarize({"text": "Words."}, client=client).summary == "Short."
