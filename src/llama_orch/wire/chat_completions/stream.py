# SPDX-License-Identifier: GPL-3.0-or-later
"""A streamed answer as server-sent `chat.completion.chunk` events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring

from llama_orch.wire import envelope
from llama_orch.wire.chat_completions.answer import logprobs_object, usage_object
from llama_orch.wire.generation import FinishReason, Generation, Head, TokenLogprob
from llama_orch_utils.errors import OrchError
from llama_orch_utils.types import Usage

DONE = b"data: [DONE]\n\n"


class ChunkStream:
    """The frames of one answer. Everything that does not change from token to token is built once, here."""

    def __init__(self, head: Head, generation: Generation) -> None:
        self._include_usage = generation.include_usage
        opening = {"id": head.id, "object": "chat.completion.chunk", "created": head.created, "model": head.model}
        self._opening = "data: " + json.dumps(opening)[:-1] + ', "choices": '
        self._closing = ', "usage": null}\n\n' if self._include_usage else "}\n\n"
        self._choices = range(generation.n * len(generation.prompts))
        self._before = [f'{self._opening}[{{"index": {index}, "delta": {{"content": ' for index in self._choices]
        self._after = '}, "logprobs": null, "finish_reason": null}]' + self._closing

    def start(self, usage: Usage) -> bytes:  # noqa: ARG002 - one signature for all dialects
        """The chunk that names the role, of each choice."""
        return b"".join(self._chunk(index, {"role": "assistant", "content": ""}) for index in self._choices)

    def reasoning(self, choice: int, text: str) -> bytes:
        """One chunk of thought, where DeepSeek's API and llama.cpp's server have it."""
        return self._chunk(choice, {"reasoning_content": text})

    def text(self, choice: int, text: str, logprobs: Sequence[TokenLogprob] = ()) -> bytes:
        """One chunk of text. This is the token path: no dict, no json.dumps."""
        if logprobs:
            return self._chunk(choice, {"content": text}, logprobs=logprobs_object(logprobs))
        return (self._before[choice] + encode_basestring(text) + self._after).encode("utf-8", "replace")

    def call(self, choice: int, index: int, identity: str, name: str) -> bytes:
        """The chunk that opens a tool call."""
        function = {"name": name, "arguments": ""}
        return self._calls(choice, {"index": index, "id": identity, "type": "function", "function": function})

    def arguments(self, choice: int, index: int, fragment: str) -> bytes:
        """More of the arguments of a call."""
        return self._calls(choice, {"index": index, "function": {"arguments": fragment}})

    def finish(self, choice: int, reason: FinishReason, stop: str | None) -> bytes:  # noqa: ARG002
        """The choice's last chunk."""
        return self._chunk(choice, {}, reason)

    def end(self, usage: Usage) -> bytes:
        """The usage chunk where it was asked for, and `[DONE]`."""
        if not self._include_usage:
            return DONE
        return f'{self._opening}[], "usage": {json.dumps(usage_object(usage))}}}\n\n'.encode() + DONE

    def fail(self, error: OrchError) -> bytes:
        """The error envelope as the last event; `[DONE]` does not follow, since the answer is not done."""
        return envelope.sse(error)

    def _calls(self, choice: int, call: dict[str, object]) -> bytes:
        return self._chunk(choice, {"tool_calls": [call]})

    def _chunk(
        self,
        index: int,
        delta: dict[str, object],
        reason: FinishReason | None = None,
        logprobs: dict[str, object] | None = None,
    ) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        text = f"{self._opening}[{json.dumps(choice, ensure_ascii=False)}]{self._closing}"
        return text.encode("utf-8", "replace")
