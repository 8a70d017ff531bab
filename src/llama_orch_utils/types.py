# SPDX-License-Identifier: Apache-2.0
"""What a client gives and gets: plain frozen records, cheap to make on the token path."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypedDict

_SHOWN = 60  # characters of an answer in its repr

Role = Literal["system", "developer", "user", "assistant", "tool"]


class Message(TypedDict):
    """One turn of a conversation, as the OpenAI chat API has it."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts of one answer. `cached_tokens` is the part of `input_tokens` that was not computed anew."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a streamed answer: whole code points of the text, or of the model's reasoning."""

    text: str
    reasoning: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """One whole answer. `cost` is micro-euros (None where nothing is charged), `raw` the JSON as it came."""

    text: str
    model: str
    target: str
    finish_reason: str
    usage: Usage
    reasoning: str = ""
    request_id: str | None = None
    cost: int | None = None
    raw: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    def __repr__(self) -> str:
        """Short: the beginning of the text, and the counts."""
        text = self.text if len(self.text) <= _SHOWN else self.text[: _SHOWN - 1] + "…"
        counts = f"{self.usage.input_tokens}+{self.usage.output_tokens} tokens"
        return f"Answer({text!r}, model={self.model!r}, target={self.target!r}, {self.finish_reason}, {counts})"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy, without `raw`."""
        record = asdict(self)
        del record["raw"]
        return record


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of a target, as `GET /v1/models` lists it. `context` is tokens per sequence, when told."""

    id: str
    owned_by: str = ""
    created: int | None = None
    context: int | None = None
    raw: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
