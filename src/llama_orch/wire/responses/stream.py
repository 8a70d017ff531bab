# SPDX-License-Identifier: GPL-3.0-or-later
"""A streamed answer as the typed events of the Responses API.

created, in_progress; then per item: output_item.added, its parts and deltas and their ends, output_item.done; then
completed, incomplete or failed with the whole response, and `[DONE]` as the Open Responses specification has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from json.encoder import encode_basestring

from llama_orch.wire.generation import FinishReason, Generation, Head, TokenLogprob
from llama_orch.wire.responses.events import Events
from llama_orch.wire.responses.failure import renamed
from llama_orch.wire.responses.growing import Growing, GrowingCall, GrowingMessage, GrowingReasoning
from llama_orch.wire.responses.output import Item, Status, kind_of
from llama_orch.wire.responses.resource import State, ended, error_object, resource
from llama_orch_utils.errors import OrchError, RequestError
from llama_orch_utils.types import Usage

DONE = b"data: [DONE]\n\n"


class EventStream:
    """The frames of one answer. An item is opened by its first piece, and closed by the next item or by the end."""

    def __init__(self, head: Head, generation: Generation) -> None:
        self._head = head
        self._repeats = generation.repeats
        self._events = Events()
        self._output: list[Item] = []
        self._open: Growing | None = None
        self._message: GrowingMessage | None = None
        self._state: State = "completed"

    def start(self, usage: Usage) -> bytes:  # noqa: ARG002 - counts are told at the end
        """The response as it begins."""
        begun = {"response": self._response("in_progress")}
        return self._events.frame("response.created", begun) + self._events.frame("response.in_progress", begun)

    def reasoning(self, choice: int, text: str) -> bytes:  # noqa: ARG002 - there is one choice
        """More of the thoughts."""
        if isinstance(self._open, GrowingReasoning):
            return self._open.more(text)
        frames = self._close("completed")
        item = GrowingReasoning(self._events, self._head.id, len(self._output), self._repeats)
        return frames + self._begin(item) + item.more(text)

    def text(self, choice: int, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:  # noqa: ARG002
        """More of the answer. This is the token path: no dict, no json.dumps."""
        said = self._message
        if said is None:
            frames = self._close("completed")
            self._message = said = GrowingMessage(self._events, self._head.id, len(self._output))
            return frames + self._begin(said) + said.scored(text, logprobs)
        if logprobs:
            return said.scored(text, logprobs)
        said.parts.append(text)
        number = self._events.next()
        return f'{said.before}{encode_basestring(text)},"sequence_number":{number}}}\n\n'.encode("utf-8", "replace")

    def call(self, choice: int, index: int, identity: str, name: str) -> bytes:  # noqa: ARG002
        """A call begins."""
        frames = self._close("completed")
        kind = kind_of(name, self._repeats)
        return frames + self._begin(GrowingCall(self._events, self._head.id, len(self._output), identity, kind))

    def arguments(self, choice: int, index: int, fragment: str) -> bytes:  # noqa: ARG002
        """More of that call's arguments."""
        assert isinstance(self._open, GrowingCall)
        return self._open.more(fragment)

    def finish(self, choice: int, reason: FinishReason, stop: str | None) -> bytes:  # noqa: ARG002
        """The last item ends as the answer does. An answer without any has an empty message."""
        self._state = ended(reason)
        frames = b""
        silent = not any(item["type"] != "reasoning" for item in self._output)
        thinking = isinstance(self._open, GrowingReasoning)
        if silent and (self._open is None or (thinking and self._state == "completed")):
            frames = self._close("completed")
            frames += self._begin(GrowingMessage(self._events, self._head.id, len(self._output)))
        return frames + self._close(ended(reason))

    def end(self, usage: Usage) -> bytes:
        """The whole response."""
        event = "response.incomplete" if self._state == "incomplete" else "response.completed"
        return self._events.frame(event, {"response": self._response(self._state, usage)}) + DONE

    def fail(self, error: OrchError) -> bytes:
        """The error as an event that client packages raise, then the response as far as it came."""
        renamed(error)
        param = error.param if isinstance(error, RequestError) else None
        told = {**error_object(error), "param": param}
        frames = self._close("incomplete")
        frames += self._events.frame("error", {**told, "error": {"type": told["code"], **told}})
        return (
            frames + self._events.frame("response.failed", {"response": self._response("failed", error=error)}) + DONE
        )

    def _begin(self, item: Growing) -> bytes:
        self._open = item
        return item.begin()

    def _close(self, status: Status) -> bytes:
        if self._open is None:
            return b""
        frames, item = self._open.end(status)
        self._output.append(item)
        self._open = self._message = None
        return frames

    def _response(self, state: State, usage: Usage | None = None, error: OrchError | None = None) -> dict[str, object]:
        return resource(self._head, self._repeats, state, self._output, usage, error)
