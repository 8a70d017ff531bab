# SPDX-License-Identifier: Apache-2.0
"""What a ticket is, what is said of it, and how it is asked for."""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import BaseModel, Field, create_model, model_validator

from llama_orch_utils.applets import Context, applet
from llama_orch_utils.errors import BadRequest

Language = Literal[
    "en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "nb", "fi", "cs", "sk", "hu", "ro", "bg", "el", "hr",
    "sl", "et", "lv", "lt", "tr", "uk", "ru", "ar", "he", "hi", "zh", "ja", "ko", "vi", "th", "id", "und",
]  # fmt: skip
TEAMS = "support, billing, sales, engineering"
_MOST_TEAMS = 50
_ANSWER_TOKENS = 160


class Ticket(BaseModel):
    """One ticket."""

    subject: str = Field("", description="its subject")
    body: str = Field("", description="what it says")
    teams: str = Field(TEAMS, description="the teams there are, between commas")

    @model_validator(mode="after")
    def _something(self) -> Ticket:
        if not (self.subject.strip() or self.body.strip()):
            raise ValueError("a ticket needs a subject or a body")
        return self


class Triage(BaseModel):
    """What is to be done with a ticket."""

    category: Literal["bug", "billing", "account", "question", "feature", "complaint", "spam", "other"]
    priority: Literal["urgent", "high", "normal", "low"]
    sentiment: Literal["angry", "unhappy", "neutral", "happy"]
    language: Language = Field(description="ISO 639-1, or und")
    team: str = Field(description="one of the teams")


@applet(__package__)
def triage(ticket: Ticket, context: Context) -> Triage:
    """Sorts one ticket; the target holds the answer to the words above and to your teams."""
    teams = _teams(ticket.teams)
    shape = create_model("Triage", __base__=Triage, team=(cast("Any", Literal)[tuple(teams)], ...))
    prompt = context.prompt("triage", subject=ticket.subject, body=ticket.body, team_list=", ".join(teams))
    found = context.client.parse(prompt, shape, repairs=1, max_tokens=_ANSWER_TOKENS, temperature=0.0)
    return Triage.model_validate(found.model_dump())


def _teams(text: str) -> list[str]:
    teams = list(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if not teams or len(teams) > _MOST_TEAMS:
        raise BadRequest(
            f"teams names {len(teams)} teams; there must be 1 to {_MOST_TEAMS}",
            param="/teams",
            hint=f'--teams "{TEAMS}"',
        )
    return teams
