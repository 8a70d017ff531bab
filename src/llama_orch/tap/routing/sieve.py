# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream of server-sent events from elsewhere, as it may go to the client: whole events only, as they came.

Taken off is the usage, where the client did not ask for it; put back is the model's name, where the server has another
one for it. The event that ends the stream is kept back, for there is still money to be settled before it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import cast

from llama_orch.tap.routing import usage as usages
from llama_orch.tap.routing.splice import quoted, without
from llama_orch.tap.routing.usage import Told

MOST_HELD = 4 * 1024 * 1024
"""Bytes of one event: a tool's arguments may come in one."""
_DATA = b"data:"
_DONE = re.compile(rb"(?:^|\n)data: ?\[DONE\]")
_NULL = re.compile(rb',\s*"usage"\s*:\s*null|"usage"\s*:\s*null\s*,')
_MODEL = re.compile(rb'"model"\s*:\s*"((?:[^"\\]|\\.)*)"')
_CONTENT = re.compile(rb'"(?:content|text|reasoning|reasoning_content|arguments|refusal)"\s*:\s*"[^"]')
_FINISH = re.compile(rb'"finish_reason"\s*:\s*"(\w{1,32})"')

_SPECIAL = (usages.NAME, b"[DONE]", b'"error"', b'"finish_reason":"', b'"finish_reason": "')
"""An event that holds none of these is a token, and passes unseen."""

Cost = Callable[[Told], int | None]


class TooLong(Exception):  # noqa: N818 - a word for the passage
    """An event does not end."""


class Sieve:
    """`push` gives what may go out now; `last`, at the end, what is left.

    `done`: the stream has said that it is over. `usage` is what it told, `outcome` why the model stopped, `events` how
    many events with content went out, `failed` that the server ended it by an error of its own. `cost` gives the price
    of a usage, which is then told beside it.
    """

    def __init__(self, model: str, *, wanted: bool, cost: Cost | None = None) -> None:
        self.usage: Told | None = None
        self.outcome = ""
        self.events = 0
        self.done = self.failed = False
        self._wanted, self._cost = wanted, cost
        self._name = quoted(model)
        self._renamed: tuple[bytes, bytes] | None = None
        self._known = False
        self._held = b""
        self._last = b""
        self._mark = b"\n\n"

    def push(self, chunk: bytes) -> bytes:
        """More of the stream. Raises TooLong."""
        if self._held or not chunk.endswith(b"\n\n"):
            chunk = self._whole(self._held + chunk)
        if self.done or not chunk:
            return b""
        first = not self._known
        if first:
            self._learn(chunk)
        if self._renamed is not None:
            chunk = chunk.replace(*self._renamed)
        if first or chunk.startswith(b":") or any(map(chunk.__contains__, _SPECIAL)):
            return self._looked(chunk)
        self.events += chunk.count(self._mark)
        return chunk

    def last(self) -> bytes:
        """The event that ends the stream."""
        rest, self._last = self._last, b""
        return rest

    def _whole(self, data: bytes) -> bytes:
        """The events that are whole; the rest is held."""
        end = data.rfind(b"\n\n") + 2
        crlf = data.rfind(b"\r\n\r\n") + 4
        if crlf > 3:  # noqa: PLR2004 - what a search without a find gives
            self._mark = b"\r\n\r\n"
        end = max(end if end > 1 else 0, crlf if crlf > 3 else 0)  # noqa: PLR2004 - as above
        self._held = data[end:]
        if len(self._held) > MOST_HELD:
            raise TooLong
        return data[:end]

    def _learn(self, chunk: bytes) -> None:
        """What the server calls the model: it says so in every event."""
        found = _MODEL.search(chunk)
        if found is not None:
            self._known = True
            there = found[0]
            ours = there[: found.start(1) - found.start() - 1] + self._name
            self._renamed = None if there == ours else (there, ours)

    def _looked(self, chunk: bytes) -> bytes:
        ended = _DONE.search(chunk)
        if ended is not None:
            self.done = True
            at = ended.start() + chunk[ended.start() : ended.start() + 1].count(b"\n")
            self._last, chunk = chunk[at:], chunk[:at]
        *events, rest = chunk.split(self._mark)  # nothing is left but where two kinds of line ends are mixed
        found = [self._event(event + self._mark) for event in events]
        return b"".join(found) + (self._event(rest) if rest else b"")

    def _event(self, event: bytes) -> bytes:
        if usages.NAME in event:
            event = self._used(event)
        if event.startswith(_DATA):
            self.events += _CONTENT.search(event) is not None
            reason = _FINISH.search(event)
            if reason is not None:
                self.outcome = reason[1].decode()
            self.failed |= event[len(_DATA) :].lstrip().startswith((b'{"error"', b'{"object":"error"'))
        return event

    def _used(self, event: bytes) -> bytes:
        found = usages.told(event)
        if found is None:
            return event if self._wanted else _NULL.sub(b"", event)
        self.usage, _, end = found
        if self._wanted:
            cost = None if self._cost is None else self._cost(self.usage)
            return event if cost is None else usages.with_cost(event, end, cost)
        return _without_usage(event)


def _without_usage(event: bytes) -> bytes:
    """An event that tells usage, without that; nothing where it tells nothing else."""
    at = event.find(b"{")
    end = event.rfind(b"}") + 1
    try:
        document: object = json.loads(event[at:end])
    except ValueError:
        return event
    if isinstance(document, dict) and cast("dict[str, object]", document).get("choices"):
        return event[:at] + without(event[at:end], "usage") + event[end:]
    return b""
