# SPDX-License-Identifier: Apache-2.0
"""What the model heard in a part of a transcript, and what of it was really said."""

from __future__ import annotations

import re
from datetime import date

from pydantic import BaseModel, Field

from llama_orch_utils.citations import Citation, find
from llama_orch_utils.documents import Document

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Said(BaseModel):
    """A decision or an open question."""

    text: str = Field(max_length=300)
    quote: str = Field(max_length=300)


class Task(BaseModel):
    """An action."""

    task: str = Field(max_length=300)
    owner: str | None = Field(max_length=80)
    due: str | None = Field(max_length=10, description="YYYY-MM-DD")
    when: str | None = Field(max_length=80, description="the words that said the day")
    quote: str = Field(max_length=300)


class Heard(BaseModel):
    """All of one part."""

    decisions: list[Said] = Field(max_length=12)
    actions: list[Task] = Field(max_length=20)
    questions: list[Said] = Field(max_length=12)


def said(text: str, quote: str, transcript: Document) -> Citation | None:
    """Where the transcript shows it; None for what it does not show, and for an empty text."""
    return find(quote, [transcript]) if text.strip() else None


def owner_of(name: str | None, transcript: Document) -> str | None:
    """The owner, if the transcript ever names them."""
    wanted = (name or "").strip()
    spoken = wanted and re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", transcript.text, re.IGNORECASE)
    return wanted if spoken else None


def due_of(task: Task, transcript: Document, held: date | None) -> date | None:
    """The day, if it is a date and somebody said it: as it stands, or in words that it agrees with.

    Words with numbers must hold its day, words with an English weekday must mean its weekday, and no action is due
    before the meeting was `held`.
    """
    if not task.due or not _DATE.fullmatch(task.due):
        return None
    try:
        due = date.fromisoformat(task.due)
    except ValueError:
        return None
    if task.due in transcript.text:
        return due
    words = when_of(task, transcript)
    return due if words is not None and _agrees(due, words, held) else None


def _agrees(due: date, words: str, held: date | None) -> bool:
    numbers = [int(each) for each in re.findall(r"\d{1,4}", words)]
    named = [at for at, name in enumerate(_WEEKDAYS) if name in words.casefold()]
    early = held is not None and due < held
    return not early and (not numbers or due.day in numbers) and (not named or due.weekday() in named)


def when_of(task: Task, transcript: Document) -> str | None:
    """The words that said the day, as far as they were said."""
    words = " ".join((task.when or "").split())
    return words if words and words.casefold() in " ".join(transcript.text.split()).casefold() else None
