# SPDX-License-Identifier: Apache-2.0
"""The transport for batches: aiohttp, the extra `llama-orch-utils[aiohttp]`.

    AsyncClient("public", transport=AiohttpTransport())

Why aiohttp, and why without httpx in between: docs/decisions/0001-http-client.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
from yarl import URL

from llama_orch_utils.transport.clock import Clock, PhaseElapsed
from llama_orch_utils.transport.exchange import Call, Head, Place, TransportFailure
from llama_orch_utils.transport.route import by_way_of, proxy_url, tls_context

IDLE_SECONDS = 60.0


class Watch:
    """Ends a reply whose clock has run out; costs nothing per chunk."""

    def __init__(self, clock: Clock, response: aiohttp.ClientResponse) -> None:
        self.elapsed: PhaseElapsed | None = None
        self._clock, self._response = clock, response
        self._timer: asyncio.TimerHandle | None = None
        self._look()

    def stop(self) -> None:
        """No more looking."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        try:
            left = self._clock.left()
        except PhaseElapsed as elapsed:
            self.elapsed = elapsed
            self._response.close()
            return
        # Limits change while the stream runs, so it looks at least every second.
        self._timer = asyncio.get_running_loop().call_later(1.0 if left is None else min(left, 1.0), self._look)


class AiohttpReply:
    """A reply of aiohttp's."""

    __slots__ = ("_response", "_watch", "head")

    def __init__(self, response: aiohttp.ClientResponse, clock: Clock) -> None:
        self._response = response
        self._watch = Watch(clock, response)
        self.head = Head(response.status, {name.lower(): value for name, value in response.headers.items()})

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            if self._watch.elapsed is not None:
                raise self._watch.elapsed from error
            raise TransportFailure(str(error) or type(error).__name__, connected=True) from error
        if self._watch.elapsed is not None:
            raise self._watch.elapsed

    async def close(self) -> None:
        """Free the connection; it is closed if the body was not read to its end."""
        self._watch.stop()
        if self._response.content.is_eof():
            self._response.release()
        else:
            self._response.close()


class AiohttpTransport:
    """One session, and so one pool, per place; for tasks of one loop."""

    def __init__(self) -> None:
        self._sessions: dict[Place, aiohttp.ClientSession] = {}

    async def send(self, call: Call, clock: Clock) -> AiohttpReply:
        """Send `call`; returns when the reply's headers are there. Raises TransportFailure, PhaseElapsed."""
        place = call.place
        session = self._sessions.get(place) or self._open(place)
        headers = {name.decode("ascii"): value.decode("ascii") for name, value in call.headers}
        url = URL(f"{place.scheme}://{place.header}{call.path}", encoded=True)
        seconds = clock.connect_left()
        try:
            async with asyncio.timeout(clock.left()):
                response = await session.request(
                    call.method,
                    url,
                    data=call.body or None,
                    headers=headers,
                    allow_redirects=False,
                    proxy=proxy_url(place),
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=seconds),
                )
        except aiohttp.ConnectionTimeoutError as error:
            raise clock.connect_elapsed() from error
        except TimeoutError as error:
            clock.left()
            raise TransportFailure("no answer in time", connected=True) from error
        except aiohttp.ClientHttpProxyError as error:
            # From None: its words hold the proxy's address as it was given, with the password.
            words = f"{error.status} {error.message}{by_way_of(place)}"
            raise TransportFailure(words, connected=False, lasting=True) from None
        except aiohttp.ClientConnectorError as error:
            lasting = isinstance(error, (aiohttp.ClientConnectorDNSError, aiohttp.ClientConnectorCertificateError))
            raise TransportFailure(f"{error}{by_way_of(place)}", connected=False, lasting=lasting) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TransportFailure(str(error) or type(error).__name__, connected=True) from error
        return AiohttpReply(response, clock)

    async def close(self) -> None:
        """Close every connection."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()

    def _open(self, place: Place) -> aiohttp.ClientSession:
        if place.socket is not None:
            connector: aiohttp.BaseConnector = aiohttp.UnixConnector(
                place.socket, limit=0, keepalive_timeout=IDLE_SECONDS
            )
        else:
            context = tls_context() if place.scheme == "https" else True
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS, ssl=context)
        session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        return self._sessions.setdefault(place, session)
