# SPDX-License-Identifier: Apache-2.0
"""Claims, and whether the passages that they name prove them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field

from llama_orch_utils.citations import Citation, cite
from llama_orch_utils.errors import InvalidAnswer
from llama_orch_utils.grounding import particulars, ungrounded
from llama_orch_utils.retrieval import Hit

_ANY = "german"  # whatever the language is: a capital letter alone makes no name, as it may begin a noun or a sentence


class Stated(BaseModel):
    """One claim as the model made it."""

    text: str = Field(max_length=600)
    source: int = Field(description="number of the passage")
    quote: str = Field(max_length=400, description="exact words of the passage")


class Answer(BaseModel):
    """What the model answers."""

    known: bool
    claims: list[Stated] = Field(max_length=8)


@dataclass(frozen=True, slots=True)
class Proven:
    """A claim and the quote that proves it, as the document has it."""

    text: str
    cited: Citation


def proven(answer: Answer, hits: Sequence[Hit], ours: str = "") -> list[Proven]:
    """The claims whose quotes are there, and that say no number and no name beyond their quotes but `ours`."""
    return [found for each in answer.claims if isinstance(found := _judged(each, hits, ours), Proven)]


def faults_of(answer: Answer, hits: Sequence[Hit], ours: str = "") -> list[str]:
    """What is wrong with the others, in words for the model."""
    return [found for each in answer.claims if isinstance(found := _judged(each, hits, ours), str)]


def _judged(claim: Stated, hits: Sequence[Hit], ours: str) -> Proven | str:
    if not claim.text.strip():
        return "a claim is empty"
    if not 1 <= claim.source <= len(hits):
        return f"there is no passage {claim.source}; they are 1 to {len(hits)}"
    passage = hits[claim.source - 1].passage
    try:
        cited = cite(claim.quote, [passage.document], passage.source)
    except InvalidAnswer as error:
        return error.message
    # A quote that is only a part of a sentence may leave out whom it is about: names may come from the whole passage.
    numbers = [each for each in particulars(claim.text) if any(map(str.isdigit, each))]
    added = [each for each in ungrounded(claim.text, [passage.text, ours], _ANY) if not any(map(str.isdigit, each))]
    added += [each for each in ungrounded(" ".join(numbers), [cited.quote, ours]) if each in numbers]
    if added:
        return f"“{claim.text}” says {', '.join(added)}, which its quote does not"
    return Proven(claim.text, cited)
