# SPDX-License-Identifier: GPL-3.0-or-later
"""One choice of an answer: what the engine says about it, as calls of a dialect's stream."""

from __future__ import annotations

import secrets
import string
from typing import TYPE_CHECKING

from llama_orch.engine.records import Delta, Finished
from llama_orch.formats import Argued, Called, Part, Said, Thought
from llama_orch.wire.dialect import Stream
from llama_orch.wire.generation import FinishReason

if TYPE_CHECKING:
    from llama_orch.engine.records import TokenLogprob
    from llama_orch.worker.translation import Order

_LETTERS = string.ascii_letters + string.digits
_ID_LENGTH = 9
"""Mistral's chat templates refuse a call's id that is not exactly this many letters and digits; no other minds."""


class Voice:
    """Speaks for choice `index`; `reason` is how it ended, `thought` how many tokens of it were thoughts.

    Log-probabilities go with text: those of thoughts and of calls are dropped with what they belong to.
    """

    def __init__(self, index: int, stream: Stream, order: Order) -> None:
        self._index = index
        self._stream = stream
        prompt = order.prompts[index // order.generation.n]
        self._echo = prompt.text if order.generation.echo else ""
        self._parser = None if order.reading is None else order.reading.parser()
        self._whole_or_cut = order.whole_or_cut
        self._logprobs: list[TokenLogprob] = []
        self._calls = self._tokens = 0
        self.reason: FinishReason = "stop"
        self.thought = 0

    def begin(self) -> bytes:
        """What comes before the model's own words."""
        return self._stream.text(self._index, self._echo, ()) if self._echo else b""

    def say(self, event: Delta) -> bytes:
        """New text, which may be nothing that can be told yet."""
        if self._parser is None:
            spoken = event.text or event.logprobs
            return self._stream.text(self._index, event.text, event.logprobs) if spoken else b""
        self._logprobs += event.logprobs
        parts = self._parser.push(event.text)
        self._tokens += event.tokens
        if parts:
            if type(parts[-1]) is Thought:
                self.thought += self._tokens
            self._tokens = 0
        return self._tell(parts)

    def finish(self, event: Finished) -> bytes:
        """What was held back, and the end."""
        assert event.reason != "cancelled"
        last = b"" if self._parser is None else self._tell(self._parser.flush())
        if self._logprobs and not self._calls:  # of tokens without a text
            last += self._stream.text(self._index, "", self._logprobs)
        if event.stop is not None and (self._calls or self._whole_or_cut):
            self.reason = "length"  # half of a schema's answer, or of a call, must not look like a whole one
            return last + self._stream.finish(self._index, self.reason, None)
        self.reason = "tool_calls" if self._calls and event.reason == "stop" else event.reason
        return last + self._stream.finish(self._index, self.reason, event.stop)

    def _tell(self, parts: list[Part]) -> bytes:
        if len(parts) == 1:
            return self._part(parts[0])
        return b"".join(map(self._part, parts))

    def _part(self, part: Part) -> bytes:
        stream, index = self._stream, self._index
        logprobs, self._logprobs = self._logprobs, []
        if type(part) is Said:
            return stream.text(index, part.text, logprobs)
        if type(part) is Thought:
            return stream.reasoning(index, part.text)
        if type(part) is Called:
            self._calls += 1
            return stream.call(index, part.index, _new_id(), part.name)
        assert type(part) is Argued
        return stream.arguments(index, part.index, part.fragment)


def _new_id() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
