# SPDX-License-Identifier: Apache-2.0
"""Sockets on asyncio that keep our clock, for httpcore's asynchronous pool.

httpcore's own go through anyio, a cancel scope per read; these are one protocol object and one timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import httpcore

from llama_orch_utils.transport.clock import Clock

if TYPE_CHECKING:
    import ssl

MOST_BUFFERED = 256 * 1024

T = TypeVar("T")


class Wire(asyncio.Protocol):
    """One connection: what has come, whether it has ended, and who waits for it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.ended = False
        self.error: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._full = False
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio, and again behind TLS."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self.buffer += data
        if len(self.buffer) > MOST_BUFFERED and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Called by asyncio."""
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self.ended, self.error = True, exc
        self._full = False
        self._wake()

    def pause_writing(self) -> None:
        """Called by asyncio."""
        self._full = True

    def resume_writing(self) -> None:
        """Called by asyncio."""
        self._full = False
        self._wake()

    async def received(self, most: int, timeout: Clock | float | None) -> bytes:  # noqa: ASYNC109 - httpcore's time-out, which carries our clock
        """What has come; b"" at the end."""
        while not self.buffer and not self.ended:
            await self._wait(timeout)
        if not self.buffer and self.error is not None:
            raise httpcore.ReadError(str(self.error)) from self.error
        data = bytes(self.buffer[:most])
        del self.buffer[:most]
        if self._paused and len(self.buffer) < MOST_BUFFERED and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return data

    async def sent(self, timeout: Clock | float | None) -> None:  # noqa: ASYNC109 - httpcore's time-out, which carries our clock
        """Until there is room for more."""
        while self._full and not self.ended:
            await self._wait(timeout)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def _wait(self, timeout: Clock | float | None) -> None:  # noqa: ASYNC109 - httpcore's time-out, which carries our clock
        loop = asyncio.get_running_loop()
        seconds = timeout.left() if isinstance(timeout, Clock) else timeout
        self._waiting = waiting = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, self._wake)
        try:
            await waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()
        if timer is not None and not isinstance(timeout, Clock) and not self.buffer and not self.ended and self._full:
            raise httpcore.WriteTimeout


class AsyncClockedStream(httpcore.AsyncNetworkStream):
    """A connected socket. Where httpcore passes a time-out on, it is our Clock."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def read(self, max_bytes: int, timeout: Any = None) -> bytes:  # noqa: ASYNC109 - httpcore's time-out, which carries our clock
        """What has come, at most `max_bytes`; b"" at the end."""
        return await self._wire.received(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: Any = None) -> None:  # noqa: ASYNC109 - httpcore's time-out, which carries our clock
        """Send all of `buffer`."""
        wire = self._wire
        if wire.transport is None or wire.transport.is_closing():
            raise httpcore.WriteError("the connection is closed")
        if buffer:
            wire.transport.write(buffer)
            await wire.sent(timeout)

    async def aclose(self) -> None:
        """Close; whoever waits in `read` wakes up."""
        if self._wire.transport is not None:
            self._wire.transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's time-out, which carries our clock
    ) -> httpcore.AsyncNetworkStream:
        """The same connection behind TLS."""
        loop = asyncio.get_running_loop()
        assert self._wire.transport is not None
        upgrade = loop.start_tls(self._wire.transport, self._wire, ssl_context, server_hostname=server_hostname)
        try:
            self._wire.transport = await _within(upgrade, timeout)
        except BaseException:
            await self.aclose()
            raise
        return self

    def get_extra_info(self, info: str) -> Any:
        """`is_readable`: whether the other side has closed an idle connection; `ssl_object`."""
        if info == "is_readable":
            return self._wire.ended or bool(self._wire.buffer)
        if info == "ssl_object" and self._wire.transport is not None:
            return self._wire.transport.get_extra_info("ssl_object")
        return None


class AsyncClockedBackend(httpcore.AsyncNetworkBackend):
    """Connects on the running asyncio loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's time-out, which carries our clock
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A TCP connection (asyncio turns Nagle's delay off)."""
        del local_address, socket_options  # never asked for by our pools
        connect = asyncio.get_running_loop().create_connection(Wire, host, port)
        return AsyncClockedStream((await _within(connect, timeout))[1])

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's time-out, which carries our clock
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to a Unix socket."""
        del socket_options
        connect = asyncio.get_running_loop().create_unix_connection(Wire, path)
        return AsyncClockedStream((await _within(connect, timeout))[1])

    async def sleep(self, seconds: float) -> None:
        """Wait; httpcore's own retries use it, and we ask for none."""
        await asyncio.sleep(seconds)


async def _within(work: Awaitable[T], seconds: float | None) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise httpcore.ConnectTimeout from error
    except OSError as error:
        raise httpcore.ConnectError(error.strerror or str(error)) from error
    except UnicodeError as error:  # what Python makes of a host name with an empty or too long label
        raise httpcore.ConnectError("this cannot be a host name") from error
