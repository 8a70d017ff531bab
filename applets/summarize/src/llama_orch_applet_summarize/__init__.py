# SPDX-License-Identifier: Apache-2.0
"""The summarize applet: a text in, a summary out, on any target and of any length.

`summary.py` asks the model, `parts.py` cuts what is too long, `cited.py` makes a summary of quotable points.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from llama_orch_utils import applets
from llama_orch_utils.applets import Context, Document
from llama_orch_utils.errors import BadRequest

__all__ = ["Shown", "Summary", "Text", "applet", "summarize"]


class Text(BaseModel):
    """What to summarise, and how."""

    text: Document = Field(description="the text")
    length: Literal["short", "medium", "long"] = Field("medium", description="how long the summary gets")
    language: str | None = Field(None, description="the language of the summary; that of the text if left out")
    cite: bool = Field(False, description="points that each quote the text, and only such")


class Shown(BaseModel):
    """Where the text shows a sentence of the summary."""

    quote: str
    place: str


class Summary(BaseModel):
    """A summary; with `cite`, a quote for each of its points."""

    summary: str
    citations: list[Shown] = []
    dropped: int = Field(default=0, description="points left out, as the text does not show them")

    def __str__(self) -> str:
        """The summary itself, and below it what it quotes."""
        notes = "\n".join(f"[{at}] {each.place}: “{each.quote}”" for at, each in enumerate(self.citations, 1))
        return f"{self.summary}\n\n{notes}" if notes else self.summary


@applets.applet(__package__)
def summarize(text: Text, context: Context) -> Summary:
    """Summarise a text of any length. Raises BadRequest where there is no text."""
    from llama_orch_applet_summarize.summary import Wish, summarise

    if not text.text.strip():
        raise BadRequest("there is no text to summarise", param="/text", hint="orch summarize FILE")
    if text.cite:
        from llama_orch_applet_summarize.cited import points_of

        points, dropped = points_of(text.text, text.length, text.language, context)
        shown = [Shown(quote=each.cited.quote, place=str(each.cited.place)) for each in points]
        words = " ".join(f"{each.text} [{at}]" for at, each in enumerate(points, 1))
        return Summary(summary=words, citations=shown, dropped=dropped)
    wish = Wish(context, text.length, text.language)
    return Summary(summary="".join(summarise(context.client, text.text, wish)))


# What the entry point of version 0.1.0 names.
applet = summarize
