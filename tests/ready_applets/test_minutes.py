# SPDX-License-Identifier: GPL-3.0-or-later
"""`minutes`: what the transcript shows, as Markdown and as a calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch_applet_minutes import minutes
from llama_orch_applet_minutes.calendar_file import Entry, calendar
from llama_orch_applet_minutes.heard import Task, due_of
from llama_orch_utils import Client
from llama_orch_utils.applets import Files
from llama_orch_utils.documents import Document
from llama_orch_utils.errors import AppletError, BadRequest
from llama_orch_utils.testing import FakeTap

SAMPLE = Path(__file__).parents[2] / "applets" / "minutes" / "samples" / "meeting.txt"
HEARD: dict[str, Any] = {
    "decisions": [
        {"text": "Launch on | 1 December", "quote": "We decided to launch on 1 December"},
        {"text": "Buy a yacht", "quote": "we decided to buy a yacht"},
    ],
    "actions": [
        {
            "task": "Write the announcement", "owner": "Bob", "due": "2026-11-27", "when": "by 27 November",
            "quote": "I will write the announcement by 27 November",
        },
        {
            "task": "Ask the printer", "owner": "Zoe", "due": "2026-11-30", "when": "next year",
            "quote": "I will ask the printer for an offer",
        },
        {"task": "Ask the printer", "owner": None, "due": None, "when": None, "quote": "ask the printer for an offer"},
    ],
    "questions": [{"text": "Who pays?", "quote": "Who pays for the advertisements is still open"}],
}  # fmt: skip
GOLDEN = """# Meeting, 2026-11-21

## Decisions

- Launch on \\| 1 December (line 1)

## Actions

| Task | Owner | Due |
|---|---|---|
| Write the announcement | Bob | 2026-11-27 |
| Ask the printer |  |  |

## Open questions

- Who pays? (line 6)
"""


def test_only_what_was_said_is_in_the_minutes(orch_home: Path, tmp_path: Path) -> None:
    """The yacht was never spoken of, Zoe was not there, and nobody said next year."""
    given_ = {"recording": SAMPLE, "date": "2026-11-21", "into": tmp_path / "out"}
    with FakeTap() as tap, Client(tap.url) as client:
        tap.json(HEARD)
        found = minutes(given_, client=client, files=Files([SAMPLE], [tmp_path / "out"]))
    assert found.markdown == GOLDEN
    assert [(each.owner, each.due, each.when) for each in found.actions] == [
        ("Bob", date(2026, 11, 27), "by 27 November"),
        (None, None, None),
    ]
    assert found.dropped == 2
    assert (tmp_path / "out" / "minutes.md").read_text() == GOLDEN
    assert (tmp_path / "out" / "minutes.ics").read_bytes().decode() == found.ics
    assert (
        "DTSTART;VALUE=DATE:20261127\r\nDTEND;VALUE=DATE:20261128\r\nSUMMARY:Bob: Write the announcement\r\n"
        in found.ics
    )
    assert found.ics.count("BEGIN:VEVENT") == 1
    assert "DTSTAMP:20261121T000000Z" in found.ics


@pytest.mark.parametrize(
    ("due", "when", "kept"),
    [
        ("2026-11-27", "by 27 November", True),
        ("2026-11-28", "by 27 November", False),  # another day than was said
        ("2026-11-27", "on Friday", True),
        ("2026-11-26", "on Friday", False),
        ("2026-11-20", "on Friday", False),  # before the meeting
        ("2026-11-27", "next month", False),  # nobody said so
        ("2026-02-30", "on Friday", False),
        ("2026-12-24", None, True),  # the date itself was said
        ("soon", "on Friday", False),
    ],
)
def test_a_date_agrees_with_the_words_that_said_it(due: str, when: str | None, kept: bool) -> None:
    said = Document("t", "text", "Ada: by 27 November, on Friday. Bob: 2026-12-24.")
    task = Task(task="x", owner=None, due=due, when=when, quote="x")
    assert due_of(task, said, date(2026, 11, 21)) == (date.fromisoformat(due) if kept else None)


def test_files_are_written_nowhere_else(orch_home: Path, tmp_path: Path) -> None:
    with FakeTap() as tap, Client(tap.url) as client:
        with pytest.raises(AppletError, match="may not write"):
            minutes({"text": "x y z", "into": tmp_path / "b"}, client=client, files=Files([], [tmp_path / "a"]))
        with pytest.raises(BadRequest, match="no document"):
            minutes({}, client=client)
        with pytest.raises(BadRequest, match="several"):
            minutes({"text": "x", "recording": SAMPLE}, client=client, files=Files([SAMPLE]))
        with pytest.raises(BadRequest):
            minutes({"text": "x", "date": "tomorrow"}, client=client)
    assert not list(tmp_path.iterdir())


def unfolded(ics: str) -> list[str]:
    assert ics.endswith("\r\n")
    assert all(len(line.encode()) <= 75 for line in ics.split("\r\n"))
    assert "\n" not in ics.replace("\r\n", "")
    return ics.replace("\r\n ", "").split("\r\n")[:-1]


def test_a_calendar_is_as_the_rfc_has_it() -> None:
    stamp = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
    entries = [Entry(date(2026, 12, 31), "Ada: pay; now, or\\never\nEND:VEVENT", "é" * 80), Entry(date.max, "x")]
    lines = unfolded(calendar("Meeting", entries, stamp))
    assert lines[:4] == ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//orch//minutes 0.1//EN", "CALSCALE:GREGORIAN"]
    assert "SUMMARY:Ada: pay\\; now\\, or\\\\never\\nEND:VEVENT" in lines
    assert f"DESCRIPTION:{'é' * 80}" in lines
    assert "DTEND;VALUE=DATE:20270101" in lines
    assert (lines.count("BEGIN:VEVENT"), lines.count("END:VEVENT"), lines[-1]) == (2, 2, "END:VCALENDAR")
    assert calendar("Meeting", entries, stamp) == calendar("Meeting", entries, stamp)


@given(st.text(max_size=200), st.text(max_size=200), st.dates())
def test_no_text_breaks_out_of_its_line(summary: str, words: str, day: date) -> None:
    lines = unfolded(calendar("m", [Entry(day, summary, words)], datetime(2026, 1, 1, tzinfo=UTC)))
    names = [line.partition(":")[0].partition(";")[0] for line in lines[4:-1]]
    kept = [each for each in ["BEGIN", "UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION", "TRANSP", "END"]
            if (each != "DESCRIPTION" or words) and (each != "DTEND" or day < date.max)]  # fmt: skip
    assert names == kept
