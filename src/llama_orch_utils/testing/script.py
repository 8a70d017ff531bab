# SPDX-License-Identifier: Apache-2.0
"""What a fake tap does with one request, and what it noted about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Script:
    """One scripted reply.

    `pieces` of the answer, each one event of a stream; `delay` seconds before the first byte, `pause` seconds before
    each piece (comments keep the connection busy every `comments` seconds meanwhile, if given). `cut`: the
    connection breaks after that many pieces. `late_error`: an error envelope's inside that ends the stream. With a
    `status` other than 200, or a `body`, the reply is that.
    """

    pieces: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    finish_reason: str | None = "stop"
    usage: Mapping[str, Any] | None = None
    delay: float = 0.0
    pause: float = 0.0
    comments: float | None = None
    cut: int | None = None
    late_error: Mapping[str, Any] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None

    def events(self, model: str) -> list[bytes]:
        """The events of the stream, before the last ones."""
        deltas = [{"reasoning_content": text} for text in self.reasoning] + [{"content": text} for text in self.pieces]
        return [event(_chunk(model, delta, None)) for delta in deltas]

    def ending(self, model: str, prompt_tokens: int) -> list[bytes]:
        """The events that end it: finish, usage, [DONE]; or the late error."""
        if self.late_error is not None:
            return [event({"error": dict(self.late_error)})]
        last = _chunk(model, {}, None)
        last["choices"], last["usage"] = [], self.counts(prompt_tokens)
        finish = [event(_chunk(model, {}, self.finish_reason))] if self.finish_reason else []
        return [*finish, event(last), b"data: [DONE]\n\n"]

    def counts(self, prompt_tokens: int) -> Json:
        """The usage: as given, or one token per piece."""
        if self.usage is not None:
            return dict(self.usage)
        output = len(self.pieces) + len(self.reasoning)
        return {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": output,
            "total_tokens": prompt_tokens + output,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    def whole(self, model: str, prompt_tokens: int) -> Json:
        """The reply to a request without `stream`."""
        message: Json = {"role": "assistant", "content": "".join(self.pieces)}
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        head = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 0, "model": model}
        return {**head, "choices": [choice], "usage": self.counts(prompt_tokens)}


@dataclass(slots=True)
class Asked:
    """One request as it came. `left`: the client closed the connection before the reply was whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    left: bool = False
    done: bool = False

    @property
    def json(self) -> Json:
        """The body."""
        return cast("Json", json.loads(self.body)) if self.body else {}

    @property
    def messages(self) -> list[Json]:
        """The messages of the body."""
        return cast("list[Json]", self.json.get("messages", []))

    @property
    def key(self) -> str | None:
        """The bearer key that came with it."""
        value = self.headers.get("authorization", "")
        return value.removeprefix("Bearer ") if value.startswith("Bearer ") else None


def event(data: Json) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def _chunk(model: str, delta: Json, finish: str | None) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 0, "model": model}
    return {**head, "choices": [choice]}
