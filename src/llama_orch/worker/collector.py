# SPDX-License-Identifier: GPL-3.0-or-later
"""An answer that is wanted whole: the same calls as a stream of frames, kept until the end."""

from __future__ import annotations

from collections.abc import Sequence

from llama_orch.wire.generation import Choice, FinishReason, Timing, TokenLogprob, ToolCall, Whole
from llama_orch_utils.errors import OrchError
from llama_orch_utils.types import Usage


class _Draft:
    """One choice as it grows."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.thoughts: list[str] = []
        self.logprobs: list[TokenLogprob] = []
        self.calls: list[tuple[str, str, list[str]]] = []
        self.reason: FinishReason = "stop"
        self.stop: str | None = None

    def choice(self, *, logprobs: bool) -> Choice:
        return Choice(
            text="".join(self.texts),
            finish_reason=self.reason,
            reasoning="".join(self.thoughts),
            calls=tuple(ToolCall(identity, name, "".join(parts)) for identity, name, parts in self.calls),
            stop=self.stop,
            logprobs=tuple(self.logprobs) if logprobs else None,
        )


class Collector:
    """A `wire.dialect.Stream` that gives no frames; `whole` is what came through it."""

    def __init__(self, choices: int) -> None:
        self._drafts = [_Draft() for _ in range(choices)]

    def start(self, usage: Usage) -> bytes:  # noqa: ARG002 - the end knows better
        """Nothing."""
        return b""

    def reasoning(self, choice: int, text: str) -> bytes:
        """Keeps a thought."""
        self._drafts[choice].thoughts.append(text)
        return b""

    def text(self, choice: int, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:
        """Keeps a text."""
        draft = self._drafts[choice]
        draft.texts.append(text)
        draft.logprobs += logprobs
        return b""

    def call(self, choice: int, index: int, identity: str, name: str) -> bytes:  # noqa: ARG002 - they come in order
        """Keeps a call."""
        self._drafts[choice].calls.append((identity, name, []))
        return b""

    def arguments(self, choice: int, index: int, fragment: str) -> bytes:
        """Keeps a part of a call's arguments."""
        self._drafts[choice].calls[index][2].append(fragment)
        return b""

    def finish(self, choice: int, reason: FinishReason, stop: str | None) -> bytes:
        """Keeps how the choice ended."""
        self._drafts[choice].reason, self._drafts[choice].stop = reason, stop
        return b""

    def end(self, usage: Usage) -> bytes:  # noqa: ARG002
        """Nothing."""
        return b""

    def fail(self, error: OrchError) -> bytes:
        """Raises it: nothing has been sent."""
        raise error

    def whole(self, usage: Usage, timing: Timing, *, logprobs: bool) -> Whole:
        """The answer; `logprobs`: they were asked for."""
        return Whole(tuple(draft.choice(logprobs=logprobs) for draft in self._drafts), usage, timing)
