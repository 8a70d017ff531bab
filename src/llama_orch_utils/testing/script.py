# SPDX-License-Identifier: Apache-2.0
"""What a fake tap does with one request, and what it noted about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

Json = dict[str, Any]
# Fragments of a call's arguments in a stream are of this many characters, so that readers have to join them.
FRAGMENT = 8


@dataclass(frozen=True, slots=True)
class FakeCall:
    """A tool call to answer with. `arguments` are an object, or a text that is sent as it is: also a broken one."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict[str, Any])
    id: str = ""

    def json(self) -> str:
        """The arguments as the model would write them."""
        return self.arguments if isinstance(self.arguments, str) else json.dumps(dict(self.arguments))


@dataclass(frozen=True, slots=True)
class Script:
    """One scripted reply.

    `pieces` of the answer, each one event of a stream; `calls` of tools after them (the finish reason is tool_calls
    then, unless it is given); `vectors` answer embeddings, `scores` a ranking, in the order of what was sent;
    `delay` seconds before the first byte, `pause` seconds before
    each piece (comments keep the connection busy every `comments` seconds meanwhile, if given). `cut`: the
    connection breaks after that many pieces. `late_error`: an error envelope's inside that ends the stream. With a
    `status` other than 200, or a `body`, the reply is that.
    """

    pieces: tuple[str, ...] = ()
    reasoning: tuple[str, ...] = ()
    calls: tuple[FakeCall, ...] = ()
    vectors: tuple[tuple[float, ...], ...] | None = None
    scores: tuple[float, ...] | None = None
    refusal: str = ""
    finish_reason: str | None = ""
    usage: Mapping[str, Any] | None = None
    delay: float = 0.0
    pause: float = 0.0
    comments: float | None = None
    cut: int | None = None
    late_error: Mapping[str, Any] | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None

    @property
    def finish(self) -> str | None:
        """The finish reason."""
        return ("tool_calls" if self.calls else "stop") if self.finish_reason == "" else self.finish_reason

    def events(self, model: str) -> list[bytes]:
        """The events of the stream, before the last ones."""
        deltas: list[Json] = [{"reasoning_content": text} for text in self.reasoning]
        deltas += [{"content": text} for text in self.pieces]
        deltas += [{"refusal": self.refusal}] if self.refusal else []
        for index, call in enumerate(self._called()):
            function = call["function"]
            deltas.append({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
            text = function["arguments"]
            for start in range(0, len(text), FRAGMENT):
                part = {"index": index, "function": {"arguments": text[start : start + FRAGMENT]}}
                deltas.append({"tool_calls": [part]})
        return [event(_chunk(model, delta, None)) for delta in deltas]

    def ending(self, model: str, usage: Json) -> list[bytes]:
        """The events that end it: finish, usage, [DONE]; or the late error."""
        if self.late_error is not None:
            return [event({"error": dict(self.late_error)})]
        last = _chunk(model, {}, None)
        last["choices"], last["usage"] = [], usage
        finish = [event(_chunk(model, {}, self.finish))] if self.finish else []
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
        if self.calls:
            message |= {"tool_calls": self._called(), "content": message["content"] or None}
        if self.refusal:
            message |= {"refusal": self.refusal, "content": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish}
        head = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 0, "model": model}
        return {**head, "choices": [choice], "usage": self.counts(prompt_tokens)}

    def _called(self) -> list[Json]:
        return [
            {
                "id": call.id or f"call_fake_{place}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.json()},
            }
            for place, call in enumerate(self.calls)
        ]


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
    def tools(self) -> list[str]:
        """The names of the tools of the body."""
        return [str(tool["function"]["name"]) for tool in self.json.get("tools", [])]

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
