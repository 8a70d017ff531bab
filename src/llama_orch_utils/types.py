# SPDX-License-Identifier: Apache-2.0
"""What a client gives and gets: plain frozen records, cheap to make on the token path."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, cast

from llama_orch_utils.account import Pricing
from llama_orch_utils.messages import CallMessage, Message

_SHOWN = 60  # characters of an answer in its repr
_CALLS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Usage:
    """Exact token counts of one answer.

    `cached_tokens` is the part of `input_tokens` that was not computed anew, `reasoning_tokens` the part of
    `output_tokens` that was thought.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """The counts of both."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_tokens + other.cached_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What the model wants to have called. `arguments` is JSON as the model wrote it."""

    id: str
    name: str
    arguments: str

    @property
    def values(self) -> dict[str, Any]:
        """The arguments by name. Raises InvalidAnswer where they are no JSON object."""
        import json

        from llama_orch_utils.errors import InvalidAnswer

        try:
            found: object = json.loads(self.arguments or "{}")
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise InvalidAnswer(f"the arguments of the call of {self.name} are no JSON object", text=self.arguments)
        return cast("dict[str, Any]", found)

    def message(self) -> CallMessage:
        """As an assistant's turn carries it."""
        return {"id": self.id, "type": "function", "function": {"name": self.name, "arguments": self.arguments}}


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call gave, as the model is told it; `failed` when that is the text of an error."""

    call: ToolCall
    text: str
    failed: bool = False

    def message(self) -> Message:
        """The turn that answers the call."""
        return {"role": "tool", "content": self.text, "tool_call_id": self.call.id}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a streamed answer: whole code points of the text, or of the model's reasoning.

    `call` is a tool call, once it is whole; `result` what one of our tools gave. Such a piece has no text.
    """

    text: str
    reasoning: str = ""
    call: ToolCall | None = None
    result: ToolResult | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """One whole answer. `cost` is micro-euros (None where nothing is charged), `raw` the JSON as it came.

    `tool_calls` are calls that nobody has answered: of tools that were given as plain definitions, or in an answer
    that max_tokens ended. `steps` counts the requests that it took, `usage` is their sum, and `messages` are the turns
    that they added to the conversation: append them to go on with it. `refusal` is what a model says that will not
    answer, where its target tells that apart.
    """

    text: str
    model: str
    target: str
    finish_reason: str
    usage: Usage
    reasoning: str = ""
    request_id: str | None = None
    cost: int | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    messages: tuple[Message, ...] = ()
    steps: int = 1
    refusal: str = ""
    raw: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)

    def __repr__(self) -> str:
        """Short: the beginning of the text, and the counts."""
        text = self.text if len(self.text) <= _SHOWN else self.text[: _SHOWN - 1] + "…"
        counts = f"{self.usage.input_tokens}+{self.usage.output_tokens} tokens"
        calls = "".join(f", calls {call.name}" for call in self.tool_calls[:_CALLS_SHOWN])
        return f"Answer({text!r}, model={self.model!r}, target={self.target!r}, {self.finish_reason}, {counts}{calls})"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy, without `raw`."""
        record = asdict(self)
        del record["raw"]
        return record


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of a target, as `GET /v1/models` lists it. `context` is tokens per sequence, when told.

    `capabilities` (`tools`, `vision`, `embedding`, ...) are None where the target tells none, and so is `pricing`.
    """

    id: str
    owned_by: str = ""
    created: int | None = None
    context: int | None = None
    capabilities: frozenset[str] | None = None
    pricing: Pricing | None = None
    raw: dict[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
