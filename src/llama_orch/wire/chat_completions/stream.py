# SPDX-License-Identifier: GPL-3.0-or-later
"""A streamed answer as server-sent `chat.completion.chunk` events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring

from llama_orch.wire import envelope
from llama_orch.wire.chat_completions.answer import logprobs_object, usage_object
from llama_orch.wire.generation import Generation, Head, TokenLogprob
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
        self._before = self._opening + '[{"index": 0, "delta": {"content": '
        self._after = '}, "logprobs": null, "finish_reason": null}]' + self._closing

    def start(self) -> bytes:
        """The chunk that names the role."""
        return self._chunk({"role": "assistant", "content": ""}, None)

    def piece(self, text: str, logprobs: Sequence[TokenLogprob] = ()) -> bytes:
        """One chunk of text. This is the token path: no dict, no json.dumps."""
        if logprobs:
            return self._chunk({"content": text}, None, logprobs_object(logprobs))
        return (self._before + encode_basestring(text) + self._after).encode("utf-8", "replace")

    def finish(self, reason: str, usage: Usage) -> bytes:
        """The last chunk, the usage chunk where it was asked for, and `[DONE]`."""
        frames = self._chunk({}, reason)
        if self._include_usage:
            frames += f'{self._opening}[], "usage": {json.dumps(usage_object(usage))}}}\n\n'.encode()
        return frames + DONE

    def fail(self, error: OrchError) -> bytes:
        """The error envelope as the last event; `[DONE]` does not follow, since the answer is not done."""
        return envelope.sse(error)

    def _chunk(self, delta: dict[str, str], reason: str | None, logprobs: dict[str, object] | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        text = f"{self._opening}[{json.dumps(choice, ensure_ascii=False)}]{self._closing}"
        return text.encode("utf-8", "replace")
