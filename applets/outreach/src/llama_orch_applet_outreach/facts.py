# SPDX-License-Identifier: Apache-2.0
"""What a draft says of a person, held against that person's row.

Two things are refused: a particular (a number, an address, a name) that stands neither in the row nor in the brief, and
words that claim to have seen, met or heard of something. Code cannot tell a plain untruth in small letters from a
sentence about the offer; so the one sentence about the person must quote the row, and the rest is about the offer.
"""

from __future__ import annotations

import re
from typing import Any, Literal, cast

from pydantic import BaseModel, Field, create_model

from llama_orch_utils.grounding import ungrounded

_CLAIMS = re.compile(
    r"\b(?:congratulat\w*|congrats|your (?:recent|latest)|as you (?:said|told)|last (?:week|month|year|time)"
    r"|(?:i|we)(?:'ve| have)? (?:just )?(?:saw|seen|read|noticed|heard|found|came across|met)"
    r"|when we (?:met|spoke|talked)|mutual (?:friend|contact)"
    r"|glückwunsch\w*|gratulier\w*|habe? (?:gesehen|gelesen|gehört|bemerkt)|letzte[nrs]? (?:woche|monat|jahr)"
    r"|félicitations|j'ai (?:vu|lu|entendu|remarqué)|felicidades|enhorabuena|he (?:visto|leído)"
    r"|complimenti|ho (?:visto|letto)|gefeliciteerd|(?:zag|las|hoorde) (?:ik|dat))\b",
    re.IGNORECASE,
)


class Opening(BaseModel):
    """The sentence about the person."""

    text: str = Field(min_length=1, max_length=300)
    column: str
    quote: str = Field(min_length=1, max_length=120, description="words of the column, as they stand in the sentence")


class Draft(BaseModel):
    """A message as the model made it."""

    subject: str = Field(min_length=1, max_length=90)
    opening: Opening
    body: list[str] = Field(min_length=1, max_length=5)
    closing: str = Field(min_length=1, max_length=200)


def draft_of(columns: tuple[str, ...]) -> type[Draft]:
    """The shape for a row that has these columns: no other can be named."""
    named: Any = cast("Any", Literal)[columns]
    opening = create_model("Opening", __base__=Opening, column=(named, ...))
    return create_model("Draft", __base__=Draft, opening=(opening, ...))


def faults_of(draft: Draft, row: dict[str, str], brief: str, language: str) -> list[str]:
    """What the draft says that nobody told, in words for the model; empty for one that can be sent."""
    opening, faults = draft.opening, list[str]()
    quote, held = _plain(opening.quote), _plain(row.get(opening.column, ""))
    if not quote or not _within(quote, held):
        faults.append(f"the quote “{opening.quote}” is not in the column {opening.column}")
    elif not _within(quote, _plain(opening.text)):
        faults.append(f"the opening does not hold the quote “{opening.quote}”")
    known = [*row.values(), brief]
    for text in (draft.subject, opening.text, *draft.body, draft.closing):
        faults += [f"“{each}” is neither in the row nor in the offer" for each in ungrounded(text, known, language)]
    for text in (draft.subject, *draft.body, draft.closing, opening.text):
        claim = _CLAIMS.search(text)
        if claim and _plain(claim.group()) not in _plain(" ".join(known)):
            faults.append(f"“{claim.group()}” claims what nobody told us")
    return list(dict.fromkeys(faults))


def own_words(quote: str, value: str) -> str:
    """The quote as the column has it: capitals and spaces may differ."""
    form = r"\s+".join(re.escape(each) for each in quote.replace("’", "'").split())
    found = re.search(form, value.replace("’", "'"), re.IGNORECASE)
    return " ".join(value[found.start() : found.end()].split()) if found else " ".join(quote.split())


def _within(words: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text) is not None


def _plain(text: str) -> str:
    return " ".join(text.replace("’", "'").split()).casefold()
