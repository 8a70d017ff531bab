# SPDX-License-Identifier: Apache-2.0
"""A first message to a lead. Its details come from the lead's row, or it is not given out."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llama_orch_applet_outreach.facts import Draft, draft_of, faults_of, own_words
from llama_orch_utils.applets import Context, applet
from llama_orch_utils.errors import BadRequest, InvalidAnswer
from llama_orch_utils.threads import message

_WORDS = {"short": 60, "medium": 110, "long": 180}
_ANSWER_TOKENS = 700
_OURS = frozenset({"brief", "tone", "length", "language"})
_GREETINGS = {
    "english": "Hello", "german": "Hallo", "deutsch": "Hallo", "french": "Bonjour", "spanish": "Hola",
    "italian": "Buongiorno", "dutch": "Hallo", "portuguese": "Olá", "swedish": "Hej", "danish": "Hej",
    "polish": "Dzień dobry",
}  # fmt: skip


class Lead(BaseModel):
    """A row: the columns below and any others of yours, and what you want of it."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)
    __pydantic_extra__: dict[str, str | int | float | bool | None]  # pyright: ignore[reportIncompatibleVariableOverride]

    brief: str = Field(min_length=1, description="what you offer, and why you write")
    name: str = Field("", description="of the person")
    company: str = ""
    role: str = ""
    notes: str = Field("", description="what you know of them")
    tone: Literal["friendly", "formal", "playful"] = "friendly"
    length: Literal["short", "medium", "long"] = "short"
    language: str = "English"

    def row(self) -> dict[str, str]:
        """The columns that say something of this person."""
        given = {**self.model_dump(exclude=set(_OURS), exclude_none=True)}
        return {name: str(value).strip() for name, value in given.items() if str(value).strip()}


class Detail(BaseModel):
    """A detail of the message: the words, and the column that they come from."""

    column: str
    words: str


class Letter(BaseModel):
    """The message."""

    subject: str
    text: str
    details: list[Detail] = Field(description="what it says of the person, and from which column")

    def __str__(self) -> str:
        """As it is sent."""
        return f"Subject: {self.subject}\n\n{self.text}"


@applet(__package__)
def outreach(lead: Lead, context: Context) -> Letter:
    """Writes the message, and once more with what was wrong. Raises InvalidAnswer where an invented detail stays."""
    row = lead.row()
    if not row:
        raise BadRequest("the row says nothing of the person", param="/name", hint="fill a column: name, company, …")
    turns = [message(_prompt(lead, row, context))]
    shape = draft_of(tuple(row))
    for last in (False, True):
        draft: Draft = context.client.parse(turns, shape, repairs=1, max_tokens=_ANSWER_TOKENS)
        faults = faults_of(draft, row, "\n".join((lead.brief, context.brand.get("name", ""))), lead.language)
        if not faults:
            return _letter(draft, lead, row, context.prompt("signature"))
        if last:
            raise InvalidAnswer(
                f"the message states what its row does not hold: {faults[0]}",
                text=draft.model_dump_json(),
                hint="give the row more to go by, or use a larger model",
            )
        turns += [message(draft.model_dump_json(), "assistant"), message(context.prompt("mend", faults=faults))]
    raise AssertionError


def _prompt(lead: Lead, row: dict[str, str], context: Context) -> str:
    facts = "\n".join(f"{name}: {' '.join(value.split())}" for name, value in row.items())
    return context.prompt(
        "outreach",
        brief=lead.brief, tone=lead.tone, language=lead.language, facts=facts, words=_WORDS[lead.length],
    )  # fmt: skip


def _letter(draft: Draft, lead: Lead, row: dict[str, str], signature: str) -> Letter:
    hello = _GREETINGS.get(lead.language.strip().lower(), "Hello")
    name = " ".join(lead.name.split())
    greeting = f"{hello} {name}," if name else f"{hello},"
    body = " ".join(each.strip() for each in draft.body)
    parts = [greeting, draft.opening.text.strip(), body, draft.closing.strip(), signature]
    details = [Detail(column="name", words=name)] if name else []
    details.append(Detail(column=draft.opening.column, words=own_words(draft.opening.quote, row[draft.opening.column])))
    return Letter(subject=draft.subject.strip(), text="\n\n".join(each for each in parts if each), details=details)
