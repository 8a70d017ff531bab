# SPDX-License-Identifier: Apache-2.0
"""HTTP clients for the `openai` package that reach our targets, the local socket included."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx

from llama_orch_utils.targets.starter import is_listening
from llama_orch_utils.transport.route import proxy_url, tls_context

if TYPE_CHECKING:
    from llama_orch_utils.client.endpoint import Endpoint, Locator

# `openai` refuses an empty key; a target that needs none does not look at this one.
NO_KEY = "none"
LONG = httpx.Timeout(600.0, connect=10.0)


def blocking_client(locator: Locator, model: str | None) -> tuple[str, str, httpx.Client]:
    """Base URL, key and HTTP client."""
    endpoint = locator.locate(model)
    if endpoint.worker is not None:
        client = httpx.Client(transport=LocalTransport(locator, model), timeout=LONG)
    else:
        client = httpx.Client(verify=_verify(endpoint), proxy=proxy_url(endpoint.place), trust_env=False, timeout=LONG)
    return base_of(endpoint), endpoint.secret or NO_KEY, client


async def async_client(locator: Locator, model: str | None) -> tuple[str, str, httpx.AsyncClient]:
    """The same for `AsyncOpenAI`."""
    endpoint = await asyncio.to_thread(locator.locate, model)
    if endpoint.worker is not None:
        client = httpx.AsyncClient(transport=AsyncLocalTransport(locator, model), timeout=LONG)
    else:
        proxy = proxy_url(endpoint.place)
        client = httpx.AsyncClient(verify=_verify(endpoint), proxy=proxy, trust_env=False, timeout=LONG)
    return base_of(endpoint), endpoint.secret or NO_KEY, client


def base_of(endpoint: Endpoint) -> str:
    """The address with its `/v1`."""
    return f"{endpoint.place.scheme}://{endpoint.place.header}{endpoint.path}"


def running(locator: Locator, model: str | None) -> Endpoint:
    """The endpoint of a worker that listens now; looking costs one connect to a socket before each request."""
    endpoint = locator.locate(model)
    if endpoint.worker is not None and not is_listening(endpoint.worker):
        locator.forget(endpoint)
        endpoint = locator.locate(model)
    return endpoint


class LocalTransport(httpx.BaseTransport):
    """Reaches the worker of a model over its socket, and starts another when it has ended since."""

    def __init__(self, locator: Locator, model: str | None) -> None:
        self._locator, self._model = locator, model
        self._by_socket: dict[str | None, httpx.HTTPTransport] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to the worker that runs now."""
        return self._at(running(self._locator, self._model)).handle_request(request)

    def close(self) -> None:
        """Close every connection."""
        for transport in self._by_socket.values():
            transport.close()

    def _at(self, endpoint: Endpoint) -> httpx.HTTPTransport:
        path = endpoint.place.socket
        if path not in self._by_socket:
            self._by_socket[path] = httpx.HTTPTransport(uds=path, verify=False)
        return self._by_socket[path]


class AsyncLocalTransport(httpx.AsyncBaseTransport):
    """The same, awaited."""

    def __init__(self, locator: Locator, model: str | None) -> None:
        self._locator, self._model = locator, model
        self._by_socket: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it to the worker that runs now."""
        endpoint = await asyncio.to_thread(running, self._locator, self._model)
        return await self._at(endpoint).handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._by_socket.values():
            await transport.aclose()

    def _at(self, endpoint: Endpoint) -> httpx.AsyncHTTPTransport:
        path = endpoint.place.socket
        if path not in self._by_socket:
            self._by_socket[path] = httpx.AsyncHTTPTransport(uds=path, verify=False)
        return self._by_socket[path]


def _verify(endpoint: Endpoint) -> Any:
    return tls_context() if endpoint.place.scheme == "https" else False
