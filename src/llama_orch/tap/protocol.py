# SPDX-License-Identifier: GPL-3.0-or-later
"""uvicorn's connection, with what it lacks: bounds on heads and pipelines, errors in JSON, word of a client's end."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import sys
import time
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from llama_orch.tap import framing
from llama_orch.tap.call import TASK, Call
from llama_orch.tap.cycle import begun
from llama_orch.tap.settings import ServeOptions
from llama_orch_utils.errors import EngineFailed, OrchError

_LINGER = 1.0
_HALF_CLOSED_SECONDS = 0.3
_HANGUP = getattr(select, "POLLRDHUP", 0)


class Connection(HttpToolsProtocol):
    """One client's connection. `calls` are its requests that are being answered: they end with it."""

    def __init__(self, config: Any, *args: Any, **named: Any) -> None:
        super().__init__(config, *args, **named)
        self._options: ServeOptions = config.options
        self._app: Any = config.loaded_app
        self.calls: set[Call] = set()
        self._head_since: float | None = None
        self._head_bytes = 0
        self._idle_since: float | None = None
        self._stuck_since: float | None = None
        self._last_words: bytes | None = None
        self._half_closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A new client, where there is room."""
        super().connection_made(transport)  # pyright: ignore[reportArgumentType]
        self._head_since = time.monotonic()
        if len(self.connections) > self._options.max_connections:
            self._say(EngineFailed("too many connections are open", hint="try again", code="overloaded"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone, or was sent away: nobody waits for what is still being done."""
        super().connection_lost(exc)
        for call in list(self.calls):
            call.abandon()

    def data_received(self, data: bytes) -> None:
        """Bytes of requests."""
        if self._last_words is not None or self.transport.is_closing():
            return
        cycle = self._current()
        if self._head_since is None and (cycle is None or not cycle.more_body):
            self._head_since = time.monotonic()
        self._head_bytes += len(data)
        self._idle_since = None
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._say(framing.malformed())
        if self._head_since is not None and self._head_bytes > framing.MAX_HEAD:
            self._say(framing.large_head())

    def eof_received(self) -> bool | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The client will send no more: it has gone, or (as `nc -N` does) closed its half and still reads.

        What it began is answered as broken; an answer that is nearly there is still sent; what takes longer is given
        up, as nginx does.
        """
        cycle = self._current()
        in_body = cycle is not None and cycle.more_body and not cycle.response_started
        if in_body or (self._head_since is not None and self._head_bytes):
            self._say(framing.truncated())
        elif self.calls and self.transport.can_write_eof():  # not so over TLS
            self._half_closed = True
            self.loop.call_later(_HALF_CLOSED_SECONDS, self.transport.close)
            return True
        return None

    def on_message_begin(self) -> None:
        """A request begins."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """A request's head is whole."""
        if self._head_bytes > framing.MAX_HEAD // 2:
            size = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size + len(self.url) > framing.MAX_HEAD:
                raise ValueError("the head is too large")
        if (
            len(self.headers) > framing.MAX_HEADERS
            or len(self.url) > framing.MAX_TARGET
            or len(self.pipeline) >= framing.MAX_PIPELINE
        ):
            raise ValueError("too many headers, too long a target, or too many requests at once")
        self._head_since, self._head_bytes = None, 0
        before, self.cycle = self._current(), begun(self)
        if before is None or before.response_complete:
            self._start(self.cycle)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self._app))

    def _start(self, cycle: RequestResponseCycle) -> None:
        task = self.loop.create_task(cycle.run_asgi(self._app))
        cycle.scope[TASK] = task  # pyright: ignore[reportGeneralTypeIssues]
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def on_response_complete(self) -> None:
        """An answer has been sent."""
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start(self.pipeline.pop()[0])
            return
        self._idle_since = time.monotonic()  # `tick` looks at it: no answer needs a timer of its own
        if self._last_words is not None:
            self._write_last()
        elif self._half_closed:
            self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is sent to."""
        self._stuck_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._stuck_since = None
        super().resume_writing()

    def _current(self) -> RequestResponseCycle | None:
        return self.cycle  # uvicorn leaves it unset until the first request

    async def heard_all(self, seconds: float) -> bool:
        """Whether the request's body is in, hearing the rest of it for a moment, and dropping it as it comes.

        A client that is still sending would not see why it was refused.
        """
        cycle = self._current()
        if cycle is None or not cycle.more_body:
            return True
        if cycle.waiting_for_100_continue:
            return False
        deadline = self.loop.time() + seconds
        while cycle.more_body and not cycle.disconnected and self.loop.time() < deadline:
            cycle.body.clear()
            self.flow.resume_reading()
            cycle.message_event.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(deadline):
                    await cycle.message_event.wait()
        return not cycle.more_body

    def tick(self, now: float) -> None:
        """Ends the connection where its client takes too long; called now and then, `now` by the monotonic clock."""
        options = self._options
        if self._stuck_since is not None and now - self._stuck_since > options.stuck_seconds:
            self.transport.abort()
        elif self._head_since is not None and now - self._head_since > options.head_seconds:
            if self._head_bytes or self._current() is None:
                self._say(framing.late_head())
        elif self.calls and self.flow.read_paused and self._hung_up():
            self.transport.abort()
        elif self._idle_since is not None and now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()

    def _hung_up(self) -> bool:
        """Whether the client has closed while nothing is read from it."""
        if not _HANGUP or sys.platform == "darwin":
            return False
        found: socket.socket | None = self.transport.get_extra_info("socket")
        if found is None or found.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(found.fileno(), _HANGUP)
        return bool(poll.poll(0))

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on(data[upgrade.args[0] :])

    def _go_on(self, rest: bytes) -> None:
        """Answers a request that offers another protocol as what it is without (RFC 9110, 7.8).

        The parser leaves the body of such a request to the other protocol; Java's client offers one with every POST.
        """
        cycle = self.cycle
        cycle.keep_alive = False
        body = framing.Body(self.on_body, self.on_message_complete)
        if body.expect(self.headers):
            cycle.more_body = True
            cycle.message_event.clear()
            self.parser = body.parser
            self.parser.feed_data(rest)

    def _say(self, error: OrchError) -> None:
        """Ends the connection by `error`, after the answers that are still due."""
        if self._last_words is not None or self.transport.is_closing():
            return
        self._last_words = framing.answer_of(error)
        self._head_since = None
        cycle = self._current()
        if cycle is not None and cycle.more_body and not cycle.response_complete:  # it is this request that is broken
            if self.pipeline and self.pipeline[0][0] is cycle:
                self.pipeline.popleft()
                return
            if cycle.response_started:
                self.transport.abort()
                return
            cycle.disconnected = True  # its task writes nothing any more
        elif cycle is not None and not cycle.response_complete:
            cycle.keep_alive = True  # else its answer would close the connection before the last words
            return
        self._write_last()

    def _write_last(self) -> None:
        assert self._last_words is not None
        self.transport.write(self._last_words)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Closing while the client still sends would reset the connection, and the last words with it.
        self.loop.call_later(_LINGER, self.transport.close)
