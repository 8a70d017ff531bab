# SPDX-License-Identifier: GPL-3.0-or-later
"""ASGI messages: requests in, answers out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from llama_orch_utils.errors import BadRequest, RequestError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]

BODY_SECONDS = 30.0
"""A body that takes longer than this is given up: it holds one of the places."""

LINGER_SECONDS = 2.0

_CHARSETS = {b"text/event-stream": b"text/event-stream; charset=utf-8"}


class ClientGone(Exception):  # noqa: N818 - nothing failed: it is how a request without a client ends
    """The client closed its connection before it had its answer."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The value of a request header (lower-case name), None if it is not there."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return None


async def reply(
    send: Send, status: int, body: bytes, headers: Headers = (), media: bytes = b"application/json"
) -> None:
    """A whole answer."""
    fixed = [(b"content-type", media), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})


async def begin_stream(send: Send, headers: Headers, media: bytes) -> None:
    """The head of a stream of content type `media`."""
    # X-Accel-Buffering: nginx in front would otherwise hold the events back.
    kind = (b"content-type", _CHARSETS.get(media, media))
    fixed = [kind, (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    await send({"type": "http.response.start", "status": 200, "headers": [*fixed, *headers]})


async def read_body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The request body. Raises RequestError (413, 415, 408) and ClientGone."""
    _check_type(scope)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _collect(receive, limit)
    except TimeoutError as error:
        raise RequestError(
            f"the body did not come within {BODY_SECONDS:.0f} seconds", code="request_timeout", status=408
        ) from error


async def _collect(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            await _discard(receive)
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _discard(receive: Receive) -> None:
    """Hears the rest for a moment: a client that is still sending would not see why it was refused."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (message := await receive())["type"] != "http.disconnect" and message.get("more_body", False):
                pass


def _check_type(scope: Scope) -> None:
    kind = header(scope, b"content-type")
    # A browser cannot send application/json to another origin without asking first; a form it can.
    if kind is not None and kind.split(b";")[0].strip().lower() != b"application/json":
        raise BadRequest(
            "the content type must be application/json",
            hint="send the header Content-Type: application/json",
            code="unsupported_media_type",
            status=415,
        )
    encoding = header(scope, b"content-encoding")
    if encoding is not None and encoding.lower() != b"identity":
        raise BadRequest(
            "an encoded body is not served", hint="send it as it is", code="unsupported_media_type", status=415
        )


def _too_large(limit: int) -> BadRequest:
    return BadRequest(f"the body is larger than {limit} bytes", hint="send less", code="request_too_large", status=413)
