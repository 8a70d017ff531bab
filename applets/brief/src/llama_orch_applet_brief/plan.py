# SPDX-License-Identifier: Apache-2.0
"""A content brief, from material of any length."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field

from llama_orch_utils.applets import Context, Document, applet
from llama_orch_utils.chunking import answer_tokens, fitting
from llama_orch_utils.documents import Document as Read
from llama_orch_utils.documents.source import gather
from llama_orch_utils.errors import AppletError

_ANSWER_TOKENS = 1200
_NOTES_TOKENS = 400


class Material(BaseModel):
    """What the piece is made from."""

    text: Document = Field("", description="a page or notes, as text")
    page: Path | None = Field(None, description="a document instead: HTML, PDF, DOCX, Markdown")
    audience: str | None = Field(None, description="who it is for, if that is settled")
    language: str | None = Field(None, description="of the brief; else the material's")


class Section(BaseModel):
    """A section of the piece."""

    heading: str = Field(max_length=120)
    points: list[str] = Field(max_length=6)


class Brief(BaseModel):
    """The plan of a piece."""

    title: str = Field(max_length=120)
    audience: str = Field(max_length=300)
    angle: str = Field(max_length=300)
    outline: list[Section] = Field(max_length=6)
    keywords: list[str] = Field(max_length=12)
    questions: list[str] = Field(max_length=10)

    def __str__(self) -> str:
        """As Markdown."""
        outline = [f"### {each.heading}\n\n{_bullets(each.points)}" for each in self.outline]
        parts = [
            f"# {self.title}", f"**Audience:** {self.audience}", f"**Angle:** {self.angle}", "## Outline", *outline,
            "## Keywords", ", ".join(self.keywords), "## Questions", _bullets(self.questions),
        ]  # fmt: skip
        return "\n\n".join(part for part in parts if part)


class _Notes(BaseModel):
    notes: list[str] = Field(max_length=12)


@applet(__package__)
def brief(material: Material, context: Context) -> Brief:
    """Plans the piece; what does not fit the model's context becomes notes first, part by part."""
    documents = gather(context.files, material.page, (), material.text)
    whole = "\n\n".join(each.text for each in documents)
    frame = _frame(material, "", context)
    tokens = answer_tokens(context.client, _ANSWER_TOKENS)
    while True:
        parts = fitting(Read("material", "text", whole), context.client, frame, tokens)
        if len(parts) == 1:
            prompt = _frame(material, whole, context)
            return context.client.parse(prompt, Brief, repairs=1, max_tokens=tokens)
        shorter = "\n".join(_noted([each.text for each in parts], context))
        if len(shorter) >= len(whole):
            raise AppletError("the model's notes are no shorter than the material", hint="another model: -m MODEL")
        whole = shorter


def _noted(parts: list[str], context: Context) -> list[str]:
    found: list[str] = []
    tokens = answer_tokens(context.client, _NOTES_TOKENS)
    for at, part in enumerate(parts):
        context.progress(at, len(parts), "reading")
        prompt = context.prompt("notes", material=part)
        found += context.client.parse(prompt, _Notes, repairs=1, max_tokens=tokens).notes
    return found


def _frame(material: Material, text: str, context: Context) -> str:
    spoken = f" Write it in {material.language}." if material.language else " Write it in the language of the material."
    readers = f" It is for {material.audience}." if material.audience else ""
    return context.prompt("brief", material=text, in_language=spoken, for_readers=readers)


def _bullets(words: list[str]) -> str:
    return "\n".join(f"- {each}" for each in words)
