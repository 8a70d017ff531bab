# SPDX-License-Identifier: GPL-3.0-or-later
"""A streamed answer as Anthropic's server-sent events: a message of content blocks, one open at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring
from typing import Any

from llama_orch.wire.generation import FinishReason, Generation, Head, TokenLogprob
from llama_orch.wire.messages.answer import opening, stop_reason, tool_id, usage_object
from llama_orch.wire.messages.failure import event as failure_event
from llama_orch.wire.messages.signature import sign
from llama_orch_utils.errors import OrchError
from llama_orch_utils.types import Usage

PING = b'event: ping\ndata: {"type": "ping"}\n\n'
_END = "}}\n\n"


class MessageStream:
    """The frames of one answer. What does not change from token to token is built once per block."""

    def __init__(self, head: Head, generation: Generation) -> None:
        self._head = head
        self._generation = generation
        self._omitted = bool(generation.repeats.get("thinking_omitted"))
        self._index = -1
        self._open = ""
        self._before = ""
        self._thoughts: list[str] = []
        self._reason: FinishReason = "stop"
        self._stop: str | None = None

    def start(self, usage: Usage) -> bytes:
        """message_start, with the prompt's counts."""
        return _event("message_start", message=opening(self._head, usage)) + PING

    def reasoning(self, choice: int, text: str) -> bytes:  # noqa: ARG002 - Anthropic's API has one choice
        """A piece of a thinking block; nothing but its beginning where the client is not to see the thoughts."""
        frames = self._enter("thinking", {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta")
        self._thoughts.append(text)
        if self._omitted:
            return frames
        return frames + (self._before + encode_basestring(text) + _END).encode("utf-8", "replace")

    def text(self, choice: int, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:  # noqa: ARG002
        """A piece of a text block. This is the token path: no dict, no json.dumps."""
        if not text:
            return b""
        frame = b"" if self._open == "text" else self._enter("text", {"type": "text", "text": ""}, "text_delta")
        return frame + (self._before + encode_basestring(text) + _END).encode("utf-8", "replace")

    def call(self, choice: int, index: int, identity: str, name: str) -> bytes:  # noqa: ARG002
        """A tool_use block begins."""
        block: dict[str, Any] = {"type": "tool_use", "id": tool_id(identity), "name": name, "input": {}}
        return self._close() + self._enter("tool_use", block, "input_json_delta")

    def arguments(self, choice: int, index: int, fragment: str) -> bytes:  # noqa: ARG002
        """More of that block's input."""
        return (self._before + encode_basestring(fragment) + _END).encode("utf-8", "replace")

    def finish(self, choice: int, reason: FinishReason, stop: str | None) -> bytes:  # noqa: ARG002
        """The last block is over."""
        self._reason, self._stop = reason, stop
        return self._close()

    def end(self, usage: Usage) -> bytes:
        """message_delta with the stop reason and all counts, and message_stop."""
        reason = stop_reason(self._reason, self._stop, usage, self._generation)
        delta = {"stop_reason": reason, "stop_sequence": self._stop}
        return _event("message_delta", delta=delta, usage=usage_object(usage)) + _event("message_stop")

    def fail(self, error: OrchError) -> bytes:
        """The error event; message_stop does not follow, since the message is not done."""
        return failure_event(error)

    def _enter(self, sort: str, block: dict[str, Any], delta: str) -> bytes:
        if self._open == sort:
            return b""
        frames = self._close()
        self._index += 1
        self._open = sort
        member = _MEMBERS[delta]
        self._before = (
            "event: content_block_delta\n"
            f'data: {{"type": "content_block_delta", "index": {self._index}, '
            f'"delta": {{"type": "{delta}", "{member}": '
        )
        return frames + _event("content_block_start", index=self._index, content_block=block)

    def _close(self) -> bytes:
        if not self._open:
            return b""
        frames = b""
        if self._open == "thinking":
            signature = sign("".join(self._thoughts), omitted=self._omitted)
            delta = {"type": "signature_delta", "signature": signature}
            frames = _event("content_block_delta", index=self._index, delta=delta)
            self._thoughts.clear()
        self._open = ""
        return frames + _event("content_block_stop", index=self._index)


_MEMBERS = {"thinking_delta": "thinking", "text_delta": "text", "input_json_delta": "partial_json"}


def _event(name: str, **members: Any) -> bytes:
    data = json.dumps({"type": name, **members}, ensure_ascii=False)
    return f"event: {name}\ndata: {data}\n\n".encode("utf-8", "replace")
