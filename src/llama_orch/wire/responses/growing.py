# SPDX-License-Identifier: GPL-3.0-or-later
"""An item of an answer while it is written: the events of its beginning, its middle and its end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol

from llama_orch.wire.generation import TokenLogprob
from llama_orch.wire.json_body import Json
from llama_orch.wire.responses.events import Events
from llama_orch.wire.responses.output import (
    Item,
    Status,
    call,
    call_prefix,
    custom_input,
    item_id,
    message,
    reasoning,
    summarised,
    text_part,
    tokens,
)


class Growing(Protocol):
    """begin once, more any number of times, end once."""

    def begin(self) -> bytes:
        """The events that open it."""
        ...

    def more(self, text: str) -> bytes:
        """More of it."""
        ...

    def end(self, status: Status) -> tuple[bytes, Item]:
        """The events that close it, and the whole item."""
        ...


class GrowingMessage:
    """Text. `before` is everything of a delta's frame before the text itself: the token path writes it at once."""

    def __init__(self, events: Events, response: str, index: int) -> None:
        self._events = events
        self._id = item_id("msg", response, index)
        self._where: Item = {"item_id": self._id, "output_index": index}
        self._part: Item = {**self._where, "content_index": 0}
        self._logprobs: list[TokenLogprob] = []
        self.parts: list[str] = []
        kind = "response.output_text.delta"
        known = json.dumps({"type": kind, **self._part, "logprobs": []}, separators=(",", ":"))[:-1]
        self.before = f'event: {kind}\ndata: {known},"delta":'

    def begin(self) -> bytes:
        """The item, and its one part."""
        item = message(self._id, "in_progress", [])
        index = self._where["output_index"]
        frames = self._events.frame("response.output_item.added", {"output_index": index, "item": item})
        return frames + self._events.frame("response.content_part.added", {**self._part, "part": text_part("")})

    def more(self, text: str) -> bytes:
        """Text without log-probabilities."""
        return self.scored(text, ())

    def scored(self, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:
        """Text with the log-probabilities of its tokens."""
        self.parts.append(text)
        self._logprobs += logprobs
        members = {**self._part, "delta": text, "logprobs": tokens(logprobs)}
        return self._events.frame("response.output_text.delta", members)

    def end(self, status: Status) -> tuple[bytes, Item]:
        """The text, the part, the item."""
        text = "".join(self.parts)
        part = text_part(text, self._logprobs)
        item = message(self._id, status, [part])
        done = {**self._part, "text": text, "logprobs": part["logprobs"]}
        frames = self._events.frame("response.output_text.done", done)
        frames += self._events.frame("response.content_part.done", {**self._part, "part": part})
        last = {"output_index": self._where["output_index"], "item": item}
        return frames + self._events.frame("response.output_item.done", last), item


class GrowingReasoning:
    """Thoughts: as a summary where one is asked for, else as they are."""

    def __init__(self, events: Events, response: str, index: int, repeats: Mapping[str, Json]) -> None:
        self._events = events
        self._id = item_id("rs", response, index)
        self._index = index
        self._repeats = repeats
        self._parts: list[str] = []
        self._summary = summarised(repeats)
        self._word = "reasoning_summary_text" if self._summary else "reasoning_text"
        where: Item = {"item_id": self._id, "output_index": index}
        self._part: Item = {**where, "summary_index": 0} if self._summary else {**where, "content_index": 0}

    def begin(self) -> bytes:
        """The item, and its one part."""
        item = reasoning(self._id, "in_progress", "", self._repeats)
        frames = self._events.frame("response.output_item.added", {"output_index": self._index, "item": item})
        return frames + self._events.frame(f"response.{self._place}.added", {**self._part, "part": self._shown("")})

    def more(self, text: str) -> bytes:
        """More of the thoughts."""
        self._parts.append(text)
        return self._events.frame(f"response.{self._word}.delta", {**self._part, "delta": text})

    def end(self, status: Status) -> tuple[bytes, Item]:
        """The text, the part, the item."""
        text = "".join(self._parts)
        item = reasoning(self._id, status, text, self._repeats)
        frames = self._events.frame(f"response.{self._word}.done", {**self._part, "text": text})
        frames += self._events.frame(f"response.{self._place}.done", {**self._part, "part": self._shown(text)})
        last = {"output_index": self._index, "item": item}
        return frames + self._events.frame("response.output_item.done", last), item

    @property
    def _place(self) -> str:
        return "reasoning_summary_part" if self._summary else "content_part"

    def _shown(self, text: str) -> Item:
        return {"type": "summary_text" if self._summary else "reasoning_text", "text": text}


class GrowingCall:
    """A call. What a custom tool takes stands inside the JSON that the model writes: it comes whole, at the end."""

    def __init__(self, events: Events, response: str, index: int, call_id: str, kind: Mapping[str, str | None]) -> None:
        self._events = events
        self._id = item_id(call_prefix(kind), response, index)
        self._index = index
        self._call_id = call_id
        self._kind = kind
        self._custom = kind["type"] == "custom"
        self._where: Item = {"item_id": self._id, "output_index": index}
        self._parts: list[str] = []

    def begin(self) -> bytes:
        """The item."""
        item = call(self._id, "in_progress", self._call_id, self._kind, "")
        return self._events.frame("response.output_item.added", {"output_index": self._index, "item": item})

    def more(self, text: str) -> bytes:
        """More of the arguments."""
        self._parts.append(text)
        if self._custom or not text:
            return b""
        return self._events.frame("response.function_call_arguments.delta", {**self._where, "delta": text})

    def end(self, status: Status) -> tuple[bytes, Item]:
        """The arguments, the item."""
        arguments = "".join(self._parts)
        item = call(self._id, status, self._call_id, self._kind, arguments)
        if self._custom:
            text = custom_input(arguments)
            frames = self._events.frame("response.custom_tool_call_input.delta", {**self._where, "delta": text})
            frames += self._events.frame("response.custom_tool_call_input.done", {**self._where, "input": text})
        else:
            done = {**self._where, "name": self._kind["name"], "arguments": arguments}
            frames = self._events.frame("response.function_call_arguments.done", done)
        last = {"output_index": self._index, "item": item}
        return frames + self._events.frame("response.output_item.done", last), item
