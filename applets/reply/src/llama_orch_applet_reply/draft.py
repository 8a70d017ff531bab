# SPDX-License-Identifier: Apache-2.0
"""A draft that says only what the documents say."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from llama_orch_applet_reply.proof import Answer, Proven, faults_of, proven
from llama_orch_utils.applets import Argument, Context, applet
from llama_orch_utils.chunking import answer_tokens, passages, rate
from llama_orch_utils.documents.source import Source, gather
from llama_orch_utils.retrieval import Hit, Index
from llama_orch_utils.threads import message

_PASSAGE_TOKENS = 200
_ANSWER_TOKENS = 900
_LEAST_TOKENS = 40


class Question(BaseModel):
    """A question, and where its answer may be."""

    question: Argument = Field(min_length=1, description="what the customer asks")
    documents: Path | None = Field(None, description="a document or a folder of them")
    sources: list[Source] = Field([], description="documents as texts")
    tone: Literal["friendly", "formal", "brief"] = "friendly"
    language: str | None = Field(None, description="of the answer; else the question's")
    passages: int = Field(4, ge=1, le=20, description="how many passages the answer may draw on")


class Claim(BaseModel):
    """A part of the answer, with the words of the document that prove it."""

    text: str
    source: str
    place: str = Field(description="line, page or paragraph")
    quote: str


class Reply(BaseModel):
    """The draft; `known` is false where the documents do not hold the answer."""

    known: bool
    draft: str
    claims: list[Claim]
    dropped: int = Field(default=0, description="claims left out, as no document proves them")

    def __str__(self) -> str:
        """The draft, and below it what it stands on."""
        notes = [f"[{at}] {each.source}, {each.place}: “{each.quote}”" for at, each in enumerate(self.claims, 1)]
        return "\n\n".join([self.draft, "\n".join(notes)]).strip()


@applet(__package__)
def reply(asked: Question, context: Context) -> Reply:
    """Looks the question up, asks for claims with quotes, and keeps those whose quotes are there."""
    documents = gather(context.files, asked.documents, asked.sources)
    context.progress(0, 2, "reading")
    # On a model with little context the passages together are as long as the answer may be.
    tokens = max(min(_PASSAGE_TOKENS, answer_tokens(context.client, _ANSWER_TOKENS) // asked.passages), _LEAST_TOKENS)
    index = Index(passages(documents, tokens, rate(context.client, documents)), context.client)
    hits = index.search(asked.question, asked.passages)
    unknown = _signed(context.prompt("unknown", **asked.model_dump()), context)
    if not hits:
        return Reply(known=False, draft=unknown, claims=[], dropped=0)
    context.progress(1, 2, "drafting")
    answer, found = _ask(asked, hits, context)
    dropped = len(answer.claims) - len(found) if answer.known else 0
    if not answer.known or not found:
        return Reply(known=False, draft=unknown, claims=[], dropped=dropped)
    draft = _signed(" ".join(f"{each.text.strip()} [{at}]" for at, each in enumerate(found, 1)), context)
    claims = [
        Claim(text=each.text.strip(), source=each.cited.source, place=str(each.cited.place), quote=each.cited.quote)
        for each in found
    ]
    return Reply(known=True, draft=draft, claims=claims, dropped=dropped)


def _ask(asked: Question, hits: list[Hit], context: Context) -> tuple[Answer, list[Proven]]:
    """The answer and its proven claims; what is not proven is asked for once more."""
    shown = "\n\n".join(f"[{at}] {hit.passage.source}\n{hit.passage.text}" for at, hit in enumerate(hits, 1))
    spoken = f" Answer in {asked.language}." if asked.language else " Answer in the language of the question."
    prompt = context.prompt("reply", question=asked.question, tone=asked.tone, passages=shown, in_language=spoken)
    turns = [message(prompt)]
    tokens = answer_tokens(context.client, _ANSWER_TOKENS)
    answer = context.client.parse(turns, Answer, repairs=1, max_tokens=tokens, temperature=0.0)
    ours = context.brand.get("name", "")
    faults = faults_of(answer, hits, ours)
    if answer.known and faults:
        turns += [message(answer.model_dump_json(), "assistant"), message(context.prompt("mend", faults=faults))]
        answer = context.client.parse(turns, Answer, repairs=1, max_tokens=tokens, temperature=0.0)
    return answer, proven(answer, hits, ours)


def _signed(text: str, context: Context) -> str:
    """With the signature of the brand, where it has one."""
    return "\n\n".join(filter(None, (text, context.prompt("signature"))))
