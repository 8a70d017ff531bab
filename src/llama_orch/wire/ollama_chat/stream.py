# SPDX-License-Identifier: GPL-3.0-or-later
"""A streamed answer as lines of JSON (NDJSON)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any

from llama_orch.wire.generation import FinishReason, Generation, Head, Timing, TokenLogprob, ToolCall
from llama_orch.wire.ollama_chat.calls import call_object
from llama_orch.wire.ollama_chat.failure import failure
from llama_orch.wire.ollama_chat.figures import LOADED, dump, end_members, logprobs_list, now
from llama_orch_utils.errors import InvalidAnswer, OrchError
from llama_orch_utils.types import Usage

NDJSON = b"application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Shape:
    """Where text and thoughts stand in a line: what comes before and after the JSON string; `empty` says nothing."""

    text: tuple[str, str]
    thought: tuple[str, str]
    empty: dict[str, Any]


CHAT = Shape(
    text=('"message": {"role": "assistant", "content": ', "}"),
    thought=('"message": {"role": "assistant", "content": "", "thinking": ', "}"),
    empty={"message": {"role": "assistant", "content": ""}},
)


class LineStream:
    """The lines of one answer. What does not change from token to token is built once, here."""

    def __init__(self, head: Head, generation: Generation, shape: Shape = CHAT) -> None:
        self._model = head.model
        self._shape = shape
        self._loading = not generation.prompts
        self._opening = json.dumps({"model": head.model}, ensure_ascii=False)[:-1] + ', "created_at": "'
        self._begun = self._first = time.monotonic()
        self._reason: FinishReason = "stop"
        self._call: ToolCall | None = None
        self._calls = 0
        self._fragments: list[str] = []
        self._failed = False

    def start(self, usage: Usage) -> bytes:  # noqa: ARG002 - one signature for all dialects
        """Nothing: Ollama's first line is the first text."""
        self._first = time.monotonic()
        return b""

    def reasoning(self, choice: int, text: str) -> bytes:  # noqa: ARG002 - Ollama's API has one choice
        """A line of thought."""
        return self._line(self._shape.thought, text)

    def text(self, choice: int, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:  # noqa: ARG002
        """A line of text. This is the token path: no dict, no json.dumps."""
        if logprobs:
            return self._line(self._shape.text, text, f', "logprobs": {json.dumps(logprobs_list(logprobs))}')
        return self._line(self._shape.text, text)

    def call(self, choice: int, index: int, identity: str, name: str) -> bytes:  # noqa: ARG002
        """A call begins; its line comes when its arguments are complete."""
        frames = self._close_call("tool_calls")
        self._call = ToolCall(identity, name, "")
        return frames

    def arguments(self, choice: int, index: int, fragment: str) -> bytes:  # noqa: ARG002
        """Kept until the call is complete."""
        self._fragments.append(fragment)
        return b""

    def finish(self, choice: int, reason: FinishReason, stop: str | None) -> bytes:  # noqa: ARG002
        """The last call's line, if there is one."""
        self._reason = reason
        return self._close_call(reason)

    def end(self, usage: Usage) -> bytes:
        """The line with `done`, counts and durations."""
        if self._failed:
            return b""
        ended = time.monotonic()
        timing = Timing(total=ended - self._begun, first=self._first - self._begun)
        members = LOADED if self._loading else end_members(self._reason, usage, timing)
        return self._object({**self._shape.empty, **members})

    def fail(self, error: OrchError) -> bytes:
        """The error's line; no `done` follows."""
        return failure(error) + b"\n"

    def _line(self, around: tuple[str, str], text: str, more: str = "") -> bytes:
        before, after = around
        line = f'{self._opening}{now()}", {before}{encode_basestring(text)}{after}{more}, "done": false}}\n'
        return line.encode("utf-8", "replace")

    def _close_call(self, reason: FinishReason) -> bytes:
        if self._call is None:
            return b""
        call = ToolCall(self._call.id, self._call.name, "".join(self._fragments))
        index, self._calls = self._calls, self._calls + 1
        self._call, self._fragments = None, []
        try:
            found = call_object(index, call, reason)
        except InvalidAnswer as error:
            self._failed = True
            return self.fail(error)
        if found is None:
            return b""
        message = {"role": "assistant", "content": "", "tool_calls": [found]}
        return self._object({"message": message, "done": False})

    def _object(self, members: dict[str, Any]) -> bytes:
        return dump({"model": self._model, "created_at": now(), **members}) + b"\n"
