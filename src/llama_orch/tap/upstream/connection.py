# SPDX-License-Identifier: GPL-3.0-or-later
"""One connection to a worker: a request at a time, its answer handed out as it comes."""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

HIGH_WATER = 256 * 1024
"""Bytes of an answer that may wait here for a slow reader; then the worker is not read from either."""


class UpstreamBroken(Exception):  # noqa: N818 - a word for the relay, which makes an error of the tree of it
    """The worker closed the connection, or spoke no HTTP. `begun`: a part of the answer had come."""

    def __init__(self, *, begun: bool) -> None:
        super().__init__("the worker's connection broke")
        self.begun = begun


class UpstreamConnection(asyncio.Protocol):
    """`ask`, then `read` until it gives nothing; `reusable` then says whether the next request may follow."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.reusable = True
        self.idle_since = 0.0
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._size = 0
        self._head = self._whole = self._closed = self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def ask(self, head: bytes, body: bytes) -> None:
        """Sends a request and waits for the head of its answer: `status`, `headers`. Raises UpstreamBroken."""
        assert self._transport is not None
        self.status, self.headers = 0, []
        self._chunks, self._size = [], 0
        self._head = self._whole = False
        self.reusable = False
        if self._closed:
            raise UpstreamBroken(begun=False)
        self._transport.writelines((head, body))
        while not self._head:
            if self._closed:
                raise UpstreamBroken(begun=False)
            await self._wait()

    async def read(self) -> bytes:
        """What has come of the body since the last time, waiting for it if need be; empty at its end.

        Raises UpstreamBroken where it ends before its end.
        """
        while not self._chunks:
            if self._whole:
                return b""
            if self._closed:
                raise UpstreamBroken(begun=True)
            await self._wait()
        chunks, self._chunks, self._size = self._chunks, [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

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
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.abort()
        if self._size > HIGH_WATER and not self._paused and not self._whole and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The worker has gone."""
        self._closed = True
        self.reusable = False
        self._wake()

    # httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header of the answer."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The answer's head is whole."""
        self.status = self._parser.get_status_code()
        self._head = True

    def on_body(self, chunk: bytes) -> None:
        """A piece of the body."""
        self._chunks.append(chunk)
        self._size += len(chunk)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        self._whole = True
        self.reusable = not self._closed and self._parser.should_keep_alive()
