# SPDX-License-Identifier: Apache-2.0
"""The transport of `AsyncClient`: httpcore's asynchronous pool over our sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpcore

from llama_orch_utils.transport.blocking import (
    IDLE_SECONDS,
    MOST_CONNECTIONS,
    MOST_IDLE,
    head_of,
    is_lasting,
    request_of,
    words_of,
)
from llama_orch_utils.transport.clock import Clock
from llama_orch_utils.transport.exchange import Call, Place, TransportFailure
from llama_orch_utils.transport.route import by_way_of, proxy_for, tls_context
from llama_orch_utils.transport.sockets import AsyncClockedBackend


class AsyncHttpReply:
    """A reply of httpcore's."""

    __slots__ = ("_response", "head")

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self.head = head_of(response)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come."""
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise TransportFailure(words_of(error), connected=True) from error

    async def close(self) -> None:
        """Free the connection; it is closed if the body was not read to its end."""
        await self._response.aclose()


class AsyncHttpTransport:
    """One pool of connections per place; for tasks of one loop."""

    def __init__(self) -> None:
        self._pools: dict[Place, httpcore.AsyncConnectionPool] = {}

    async def send(self, call: Call, clock: Clock) -> AsyncHttpReply:
        """Send `call`; returns when the reply's headers are there. Raises TransportFailure, PhaseElapsed."""
        pool = self._pool(call.place)
        try:
            return AsyncHttpReply(await pool.handle_async_request(request_of(call, clock, call.body)))
        except httpcore.ConnectTimeout as error:
            raise clock.connect_elapsed() from error
        except (httpcore.ConnectError, httpcore.UnsupportedProtocol, httpcore.ProxyError) as error:
            words = words_of(error) + by_way_of(call.place)
            raise TransportFailure(words, connected=False, lasting=is_lasting(error)) from error
        except httpcore.PoolTimeout as error:
            raise TransportFailure("all connections are in use", connected=False, lasting=True) from error
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise TransportFailure(words_of(error), connected=True) from error

    async def close(self) -> None:
        """Close every connection."""
        pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            await pool.aclose()

    def _pool(self, place: Place) -> httpcore.AsyncConnectionPool:
        if place not in self._pools:
            self._pools[place] = httpcore.AsyncConnectionPool(
                ssl_context=tls_context() if place.scheme == "https" else None,
                proxy=proxy_for(place),
                max_connections=MOST_CONNECTIONS,
                max_keepalive_connections=MOST_IDLE,
                keepalive_expiry=IDLE_SECONDS,
                uds=place.socket,
                network_backend=AsyncClockedBackend(),
            )
        return self._pools[place]
