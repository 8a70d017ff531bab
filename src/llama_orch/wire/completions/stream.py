# SPDX-License-Identifier: GPL-3.0-or-later
"""A streamed answer: `text_completion` objects as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring

from llama_orch.wire import envelope
from llama_orch.wire.chat_completions.answer import usage_object
from llama_orch.wire.chat_completions.stream import DONE
from llama_orch.wire.completions.logprobs import logprobs_object
from llama_orch.wire.generation import FinishReason, Generation, Head, TokenLogprob
from llama_orch_utils.errors import OrchError
from llama_orch_utils.types import Usage


class TextStream:
    """The frames of one answer. A completion has no thoughts and no calls: those of a chat come as nothing here."""

    def __init__(self, head: Head, generation: Generation) -> None:
        self._include_usage = generation.include_usage
        opening = {"id": head.id, "object": "text_completion", "created": head.created, "model": head.model}
        self._opening = "data: " + json.dumps(opening)[:-1] + ', "choices": '
        self._closing = ', "usage": null}\n\n' if self._include_usage else "}\n\n"
        choices = range(generation.n * len(generation.prompts))
        self._before = [f'{self._opening}[{{"index": {index}, "text": ' for index in choices]
        self._after = ', "logprobs": null, "finish_reason": null}]' + self._closing
        self._length = [0 for _ in choices]

    def start(self, usage: Usage) -> bytes:  # noqa: ARG002 - one signature for all dialects
        """Nothing: the first text is the first frame."""
        return b""

    def reasoning(self, choice: int, text: str) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def text(self, choice: int, text: str, logprobs: Sequence[TokenLogprob] = ()) -> bytes:
        """One chunk of text. This is the token path: no dict, no json.dumps."""
        offset = self._length[choice]
        self._length[choice] = offset + len(text)
        if logprobs:
            return self._chunk(choice, text, logprobs=logprobs_object(logprobs, offset))
        return (self._before[choice] + encode_basestring(text) + self._after).encode("utf-8", "replace")

    def call(self, choice: int, index: int, identity: str, name: str) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def arguments(self, choice: int, index: int, fragment: str) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def finish(self, choice: int, reason: FinishReason, stop: str | None) -> bytes:  # noqa: ARG002
        """The choice's last chunk."""
        return self._chunk(choice, "", reason)

    def end(self, usage: Usage) -> bytes:
        """The usage chunk where it was asked for, and `[DONE]`."""
        if not self._include_usage:
            return DONE
        return f'{self._opening}[], "usage": {json.dumps(usage_object(usage))}}}\n\n'.encode() + DONE

    def fail(self, error: OrchError) -> bytes:
        """The error envelope as the last event."""
        return envelope.sse(error)

    def _chunk(
        self, index: int, text: str, reason: FinishReason | None = None, logprobs: dict[str, object] | None = None
    ) -> bytes:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": reason}
        frame = f"{self._opening}[{json.dumps(choice, ensure_ascii=False)}]{self._closing}"
        return frame.encode("utf-8", "replace")
