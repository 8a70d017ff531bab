# SPDX-License-Identifier: GPL-3.0-or-later
"""Request bodies on their way in: of the right type, bounded in size, in time, and all together."""

from __future__ import annotations

import time
from collections.abc import Mapping

from llama_orch.tap.call import ClientGone, Receive
from llama_orch.tap.settings import ServeOptions
from llama_orch_utils.errors import BadRequest, OrchError, RateLimited, RequestError

_SLOWEST = 16 * 1024
"""Bytes a second that a long body has to come with, after its first minute."""
_PATIENCE = 60.0
_LINGER = 2.0
_DIGITS = 18
_JSON = b"application/json"
_FORM = b"application/x-www-form-urlencoded"


class Held:
    """The bytes of all bodies that the gateway holds at this moment."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.bytes = 0

    def take(self, size: int) -> None:
        """Counts `size` bytes in. Raises RateLimited where they do not fit."""
        if self.bytes + size > self._most:
            raise RateLimited(
                "the requests that wait here fill the memory they may take",
                retry_after=1.0,
                hint="try again after Retry-After seconds",
            )
        self.bytes += size

    def give(self, size: int) -> None:
        """Counts them out again."""
        self.bytes -= size


class Intake:
    """The body of one request. `forms`: JSON that calls itself a form is taken too, as `curl -d` sends it."""

    def __init__(self, headers: Mapping[bytes, bytes], options: ServeOptions, held: Held, *, forms: bool) -> None:
        self._headers = headers
        self._options = options
        self._held = held
        self._forms = forms
        self._taken = 0
        self._begun = self._heard = 0.0
        self._refusal: OrchError | None = None

    async def read(self, receive: Receive) -> bytes:
        """The body; raises as `Call.body` says."""
        self._check_type()
        self._begun = self._heard = time.monotonic()
        try:
            declared = self._headers.get(b"content-length", b"0")
            if len(declared) > _DIGITS or int(declared) > self._options.max_body:
                await self._refuse_size(receive)
            return await self._collect(receive, self._options.max_body)
        finally:
            self._begun = 0.0

    def release(self) -> None:
        """The body is no longer needed."""
        self._held.give(self._taken)
        self._taken = 0

    def late(self, now: float) -> OrchError | None:
        """What to end the request by, if its body does not come; `now` by the monotonic clock."""
        if not self._begun:
            return None
        if self._refusal is not None:
            return self._refusal if now - self._begun > _LINGER else None
        allowed = _PATIENCE + self._taken / _SLOWEST
        if now - self._heard <= self._options.body_seconds and now - self._begun <= allowed:
            return None
        return RequestError("the body did not come in time", code="request_timeout", status=408, hint="send it faster")

    async def _collect(self, receive: Receive, limit: int) -> bytes:
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            self._heard = time.monotonic()
            part: bytes = message.get("body", b"")
            if self._taken + len(part) > limit:
                await self._refuse_size(receive)
            self._held.take(len(part))
            self._taken += len(part)
            parts.append(part)
            if not message.get("more_body", False):
                return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    async def _refuse_size(self, receive: Receive) -> None:
        """Hears the rest for a moment: a client that is still sending would not see why it was refused."""
        limit = self._options.max_body
        self._begun = time.monotonic()
        self._refusal = BadRequest(
            f"the body is larger than {limit} bytes", hint="send less", code="request_too_large", status=413
        )
        while b"expect" not in self._headers and time.monotonic() - self._begun < _LINGER:
            if not (await receive()).get("more_body", False):
                break
        raise self._refusal

    def _check_type(self) -> None:
        kind = self._headers.get(b"content-type", _JSON)
        if kind != _JSON:
            kind = kind.split(b";")[0].strip().lower()
        # A browser cannot send application/json to another origin without asking first; a form it can.
        if kind != _JSON and not (self._forms and kind == _FORM):
            raise BadRequest(
                "the content type must be application/json",
                hint="send the header Content-Type: application/json",
                code="unsupported_media_type",
                status=415,
            )
        encoding = self._headers.get(b"content-encoding")
        if encoding is not None and encoding.strip().lower() != b"identity":
            raise BadRequest(
                "an encoded body is not served", hint="send it as it is", code="unsupported_media_type", status=415
            )
