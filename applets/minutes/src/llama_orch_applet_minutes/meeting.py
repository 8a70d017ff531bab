# SPDX-License-Identifier: Apache-2.0
"""Minutes of a transcript of any length: what was said, with the words that show it."""

from __future__ import annotations

from datetime import UTC, datetime, time
from datetime import date as day
from pathlib import Path

from pydantic import BaseModel, Field

from llama_orch_applet_minutes.calendar_file import Entry, calendar
from llama_orch_applet_minutes.heard import Heard, Said, Task, due_of, owner_of, said, when_of
from llama_orch_applet_minutes.paper import Action, Noted, markdown
from llama_orch_utils.applets import Context, Document, applet
from llama_orch_utils.chunking import answer_tokens, fitting
from llama_orch_utils.documents import Document as Read
from llama_orch_utils.documents.source import gather
from llama_orch_utils.errors import BadRequest

_ANSWER_TOKENS = 1000


class Transcript(BaseModel):
    """What was said."""

    text: Document = Field("", description="the transcript")
    recording: Path | None = Field(None, description="its document instead: text, VTT, SRT, DOCX, PDF")
    title: str = Field("Meeting", min_length=1, description="what the meeting was")
    date: day | None = Field(None, description="when it was held, as 2026-11-21")
    language: str | None = Field(None, description="of the minutes; else the transcript's")
    into: Path | None = Field(None, description="a folder for minutes.md and minutes.ics")


class Minutes(BaseModel):
    """The minutes; `ics` holds the actions that have a date (RFC 5545)."""

    decisions: list[Noted]
    actions: list[Action]
    questions: list[Noted]
    markdown: str
    ics: str
    dropped: int = Field(default=0, description="left out, as the transcript does not show it")

    def __str__(self) -> str:
        """As Markdown."""
        return self.markdown


@applet(__package__)
def minutes(given: Transcript, context: Context) -> Minutes:
    """Reads the transcript part by part, and keeps what its words show."""
    found = gather(context.files, given.recording, (), given.text)
    if len(found) > 1:
        raise BadRequest("there are several transcripts", param="/recording", hint="one at a time: --batch FOLDER")
    transcript = found[0]
    heard = _heard(transcript, given, context)
    decisions = _noted([each for part in heard for each in part.decisions], transcript)
    questions = _noted([each for part in heard for each in part.questions], transcript)
    actions = _actions([each for part in heard for each in part.actions], transcript, given.date)
    proposed = sum(len(part.decisions) + len(part.actions) + len(part.questions) for part in heard)
    paper = markdown(given.title, given.date, decisions, actions, questions, context.prompt("footer"))
    made = Minutes(
        decisions=decisions,
        actions=actions,
        questions=questions,
        markdown=paper,
        ics=_calendar(given, actions, context.brand.get("name", "")),
        dropped=proposed - len(decisions) - len(actions) - len(questions),
    )
    if given.into is not None:
        context.files.write(given.into / "minutes.md", made.markdown)
        context.files.write(given.into / "minutes.ics", made.ics)
    return made


def _heard(transcript: Read, given: Transcript, context: Context) -> list[Heard]:
    found: list[Heard] = []
    tokens = answer_tokens(context.client, _ANSWER_TOKENS)
    parts = fitting(transcript, context.client, _prompt(given, "", context), tokens)
    for at, part in enumerate(parts):
        context.progress(at, len(parts), "listening")
        prompt = _prompt(given, part.text, context)
        found.append(context.client.parse(prompt, Heard, repairs=1, max_tokens=tokens, temperature=0.0))
    return found


def _prompt(given: Transcript, part: str, context: Context) -> str:
    spoken = f" Write in {given.language}." if given.language else ""
    held = f" It was held on {given.date:%A}, {given.date.isoformat()}." if given.date else ""
    return context.prompt("minutes", part=part, in_language=spoken, held=held)


def _noted(items: list[Said], transcript: Read) -> list[Noted]:
    found: dict[str, Noted] = {}
    for each in items:
        shown = said(each.text, each.quote, transcript)
        if shown is not None:
            noted = Noted(text=each.text.strip(), quote=shown.quote, place=str(shown.place))
            found.setdefault(noted.text.casefold(), noted)
    return list(found.values())


def _actions(items: list[Task], transcript: Read, held: day | None) -> list[Action]:
    found: dict[str, Action] = {}
    for each in items:
        shown = said(each.task, each.quote, transcript)
        if shown is not None:
            action = Action(
                task=each.task.strip(),
                owner=owner_of(each.owner, transcript),
                due=due_of(each, transcript, held),
                when=when_of(each, transcript),
                quote=shown.quote,
                place=str(shown.place),
            )
            found.setdefault(action.task.casefold(), action)
    return list(found.values())


def _calendar(given: Transcript, actions: list[Action], brand: str) -> str:
    stamp = datetime.combine(given.date, time(), UTC) if given.date else datetime.now(UTC)
    dated = [
        Entry(each.due, f"{each.owner}: {each.task}" if each.owner else each.task, f"{given.title}: “{each.quote}”")
        for each in actions
        if each.due is not None
    ]
    return calendar(given.title, dated, stamp, brand)
