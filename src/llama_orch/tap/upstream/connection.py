# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a worker or a server elsewhere: a request at a time, its answer handed out as it comes."""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

HIGH_WATER = 256 * 1024
"""Bytes of an answer that may wait here for a slow reader; then the worker is not read from either."""
MAX_HEAD = 64 * 1024
"""Bytes of an answer's head."""
NEVER = float("inf")
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))


class UpstreamBroken(Exception):  # noqa: N818 - a word for the relay, which makes an error of the tree of it
    """The server closed the connection, or spoke no HTTP.

    `begun`: a part of the answer had come. `silent`: it was given up because nothing came for too long. `stale`: the
    connection had been idle, and was closed before anything came: the request may be sent again over a new one.
    """

    def __init__(self, *, begun: bool, silent: bool = False, stale: bool = False) -> None:
        super().__init__("the worker's connection broke")
        self.begun, self.silent, self.stale = begun, silent, stale


class UpstreamConnection(asyncio.Protocol):
    """`ask`, then `read` until it gives nothing; `reusable` then says whether the next request may follow.

    `rested`: it was idle for a while before this request. `high_water` bytes wait here at most for a slow reader.
    `expires` is when, by the event loop's clock, whoever looks after it calls `expire`; each piece that comes
    moves it `patience` seconds on.
    """

    def __init__(self, high_water: int = HIGH_WATER) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.reusable = True
        self.rested = False
        self.idle_since = 0.0
        self.expires = NEVER
        self.patience = NEVER
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._size = self._head_size = 0
        self._high_water = high_water
        self._head = self._whole = self._closed = self._paused = self._silent = self._framed = False
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def ask(self, head: bytes, body: bytes) -> None:
        """Sends a request and waits for the head of its answer: `status`, `headers`. Raises UpstreamBroken."""
        self.send(head, body)
        await self.answered()

    def send(self, head: bytes, body: bytes) -> None:
        """Sends a request; `answered` follows. Raises UpstreamBroken."""
        assert self._transport is not None
        self.status, self.headers = 0, []
        self._chunks, self._size, self._head_size = [], 0, 0
        self._head = self._whole = self._framed = False
        self.reusable = False
        if self._closed:
            raise self._broken()
        self._transport.writelines((head, body))

    async def answered(self) -> None:
        """Waits for the head of the answer; again where the first waiting was cancelled. Raises UpstreamBroken."""
        while not self._head:
            if self._closed:
                raise self._broken()
            await self._wait()

    async def read(self) -> bytes:
        """What has come of the body since the last time, waiting for it if need be; empty at its end.

        Raises UpstreamBroken where it ends before its end.
        """
        while not self._chunks:
            if self._whole:
                return b""
            if self._closed:
                raise UpstreamBroken(begun=True, silent=self._silent)
            await self._wait()
        chunks, self._chunks, self._size = self._chunks, [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._moved()
            self._transport.resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def header(self, name: bytes) -> bytes:
        """The first header of the answer with that name, in lower case; empty where there is none."""
        for each, value in self.headers:
            if each == name:
                return value
        return b""

    def watch(self, first: float, patience: float) -> None:
        """It expires if its answer does not begin within `first` seconds, or stops for `patience`."""
        self.expires = self._loop.time() + first
        self.patience = patience

    @property
    def ended(self) -> bool:
        """Whether the whole answer has come."""
        return self._whole

    @property
    def closed(self) -> bool:
        """Whether the worker has closed it."""
        return self._closed

    def abort(self) -> None:
        """Closes it at once: the worker stops what it does for it."""
        self._closed = True
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def expire(self) -> None:
        """Gives it up: nothing came for too long. A reader that is slow itself is no reason."""
        if not self._paused and not self._chunks:
            self._silent = True
            self.abort()
            self._wake()

    def _broken(self) -> UpstreamBroken:
        stale = self.rested and not self._head_size and not self._silent
        return UpstreamBroken(begun=False, silent=self._silent, stale=stale)

    def _moved(self) -> None:
        if self.patience != NEVER:
            self.expires = self._loop.time() + self.patience

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer."""
        if not self._head:
            self._head_size += len(data)
        elif self.patience != NEVER:
            self._moved()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.abort()
        if not self._head and self._head_size > MAX_HEAD:
            self.abort()
        if self._size > self._high_water and not self._paused and not self._whole and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """The server has gone; where nothing told how long the answer is, that is its end (RFC 9112, 6.3)."""
        if self._head and not self._framed and not self._silent and not self._closed and exc is None:
            self._whole = True
        self._closed = True
        self.reusable = False
        self._wake()

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        name = name.lower()
        self.headers.append((name, value))
        if name in _FRAMING:
            self._framed = True

    def on_headers_complete(self) -> None:
        """The answer's head is whole."""
        status = self._parser.get_status_code()
        if status < 200:  # noqa: PLR2004 - 100 and 103 announce an answer (RFC 9110, 15.2)
            self.headers, self._framed = [], False
            return
        self.status = status
        self._head = True

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body."""
        self._chunks.append(chunk)
        self._size += len(chunk)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._head:
            self._whole = True
            self.reusable = not self._closed and self._parser.should_keep_alive()
