# SPDX-License-Identifier: Apache-2.0
"""Server-sent events from raw bytes, however they are split (WHATWG HTML, 9.2.6 "Interpreting an event stream").

Only what a completion stream needs: the `data` of each event, its lines joined by a line feed. Names, ids and
retry times are read over; comments are counted, as they show that the other side lives.
"""

from __future__ import annotations

MOST_EVENT_BYTES = 8 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class EventTooLong(ValueError):  # noqa: N818 - it says what happened
    """An event is longer than the limit: this is no completion stream."""


class EventParser:
    """Feed it bytes; it gives the data of every event that has ended.

    An event that the stream's end cuts off is not given, as the standard says.
    """

    __slots__ = ("_buffer", "_data", "_first", "_held", "_limit", "_skip", "comments")

    def __init__(self, limit: int = MOST_EVENT_BYTES) -> None:
        self._buffer = b""
        self._data: list[bytes] | None = None
        self._held = 0
        self._first = True
        self._skip = False
        self._limit = limit
        self.comments = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that `chunk` completes. Raises EventTooLong."""
        # What taps send: whole events, one `data:` line each, in one chunk. Anything else takes the long way.
        if (
            not self._buffer
            and self._data is None
            and not self._first
            and not self._skip
            and chunk.endswith(b"\n\n")
            and chunk.startswith(b"data: ")
            and b"\r" not in chunk
        ):
            if chunk.find(b"\n") == len(chunk) - 2:
                return [chunk[6:-2]]
            events = chunk[:-2].split(b"\n\n")
            if all(event.startswith(b"data: ") and b"\n" not in event for event in events):
                return [event[6:] for event in events]
        return self._feed_slowly(chunk)

    def _feed_slowly(self, chunk: bytes) -> list[bytes]:
        if self._skip and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skip = False
        buffer = self._buffer + chunk if self._buffer else chunk
        if self._first:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._buffer = buffer
                return []
            self._first = False
            buffer = buffer.removeprefix(_BOM)
        # A carriage return ends the line at once; a line feed behind it, in the next chunk, is the same end.
        self._skip = buffer.endswith(b"\r")
        *lines, self._buffer = buffer.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if len(self._buffer) + self._held > self._limit:
            raise EventTooLong(f"an event of more than {self._limit} bytes")
        events: list[bytes] = []
        for line in lines:
            self._line(line, events)
        return events

    def _line(self, line: bytes, events: list[bytes]) -> None:
        if not line:
            if self._data is not None:
                events.append(b"\n".join(self._data))
            self._data, self._held = None, 0
            return
        if line.startswith(b":"):
            self.comments += 1
            return
        name, _, value = line.partition(b":")
        if name != b"data":
            return
        if self._data is None:
            self._data = []
        value = value.removeprefix(b" ")
        self._held += len(value) + 1
        if self._held > self._limit:
            raise EventTooLong(f"an event of more than {self._limit} bytes")
        self._data.append(value)
