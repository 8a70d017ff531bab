# SPDX-License-Identifier: Apache-2.0
"""A summary whose every point quotes the text: points of each part, and of all of them those that matter most.

The second step only chooses: a point is never written anew, so its quote stays its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field

from llama_orch_utils.applets import Context
from llama_orch_utils.chunking import answer_tokens, counter, fitting
from llama_orch_utils.citations import Citation, find
from llama_orch_utils.documents import Document
from llama_orch_utils.errors import BadRequest, InvalidAnswer

_ANSWER_TOKENS = 900
_CHOICE_TOKENS = 200
_MOST = {"short": 2, "medium": 5, "long": 12}


class Said(BaseModel):
    """A point as the model made it."""

    text: str = Field(max_length=300)
    quote: str = Field(max_length=300)


class _Points(BaseModel):
    points: list[Said] = Field(max_length=12)


class _Choice(BaseModel):
    keep: list[int] = Field(max_length=12)


@dataclass(frozen=True, slots=True)
class Point:
    """A sentence of the summary, and the words of the text that show it."""

    text: str
    cited: Citation


def points_of(text: str, length: str, language: str | None, context: Context) -> tuple[list[Point], int]:
    """The points in the order of the text, and how many were left out because nothing in the text shows them.

    Raises BadRequest for an empty text, InvalidAnswer where no point can be shown.
    """
    if not text.strip():
        raise BadRequest("there is no text to summarise", param="/text", hint="orch summarize FILE")
    document = Document("text", "text", text)
    spoken = f" in {language}" if language else " in its own language"
    tokens = answer_tokens(context.client, _ANSWER_TOKENS)
    found: list[Point] = []
    dropped = 0
    parts = fitting(document, context.client, context.prompt("points", part="", in_language=spoken), tokens)
    for at, part in enumerate(parts):
        context.progress(at, len(parts), "reading")
        prompt = context.prompt("points", part=part.text, in_language=spoken)
        answer = context.client.parse(prompt, _Points, repairs=1, max_tokens=tokens, temperature=0.0)
        for each in answer.points:
            cited = find(each.quote, [document]) if each.text.strip() else None
            if cited is None:
                dropped += 1
            else:
                found.append(Point(" ".join(each.text.split()), cited))
    if not found:
        raise InvalidAnswer("the model gave no point that the text shows", hint="without --cite, or another model: -m")
    return _chosen(found, _MOST[length], context), dropped


def _chosen(points: list[Point], most: int, context: Context) -> list[Point]:
    """At most `most` of them: those that the model chooses, group by group where they are too many for its context."""
    while len(points) > most:
        groups = _groups(points, context)
        share = max(most // len(groups), 1)
        kept = [each for group in groups for each in _choice(group, min(share, len(group)), context)]
        if len(kept) >= len(points):
            return kept[:most]  # a group for each point: its context holds no two of them
        points = kept
    return points


def _groups(points: Sequence[Point], context: Context) -> list[list[Point]]:
    model = context.client.described()
    if model is None or model.context is None:
        return [list(points)]
    count, room = counter(context.client), model.context // 3
    groups: list[list[Point]] = [[]]
    for point in points:
        if groups[-1] and count(_listed([*groups[-1], point])) > room:
            groups.append([])
        groups[-1].append(point)
    return groups


def _choice(points: list[Point], most: int, context: Context) -> list[Point]:
    """The points whose numbers the model gives, in their order; the first ones where it gives too few that exist."""
    prompt = context.prompt("choose", points=_listed(points), most=most)
    tokens = answer_tokens(context.client, _CHOICE_TOKENS)
    answer = context.client.parse(prompt, _Choice, repairs=1, max_tokens=tokens, temperature=0.0)
    known = range(1, len(points) + 1)
    wanted = list(dict.fromkeys(each for each in answer.keep if each in known))[:most]
    wanted += [each for each in known if each not in wanted][: max(1 - len(wanted), 0)]
    return [points[each - 1] for each in sorted(wanted)]


def _listed(points: Sequence[Point]) -> str:
    return "\n".join(f"{at}. {each.text}" for at, each in enumerate(points, 1))
