# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of HTTP that a connection says and hears outside of any request."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from llama_orch.wire import envelope
from llama_orch_utils.errors import OrchError, RequestError

MAX_HEAD = 64 * 1024
MAX_HEADERS = 128
MAX_TARGET = 8 * 1024
MAX_PIPELINE = 16
_FRAMING = (b"content-length", b"transfer-encoding")


class Body:
    """Hears the body of a request whose head was heard elsewhere, and nothing after it."""

    def __init__(self, on_body: Callable[[bytes], None], on_message_complete: Callable[[], None]) -> None:
        self.on_body = on_body
        self.on_message_complete = on_message_complete
        self.parser = httptools.HttpRequestParser(self)

    def expect(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether a request with these headers has a body; from then on the parser may be fed with it."""
        given = dict(headers)
        framing = [b"%b: %b" % (name, given[name]) for name in _FRAMING if name in given]
        if framing:
            self.parser.feed_data(b"\r\n".join((b"POST / HTTP/1.1", *framing, b"", b"")))
        return bool(framing)


def malformed() -> RequestError:
    """What came is no HTTP."""
    return RequestError("this is not a valid HTTP/1.1 request", code="malformed_http")


def truncated() -> RequestError:
    """The client closed before it had said what it began."""
    return RequestError("the request ended before it was whole", code="truncated_request")


def late_head() -> RequestError:
    """The client takes too long."""
    return RequestError("the request's head did not come in time", code="request_timeout", status=408)


def large_head() -> RequestError:
    """The head does not end."""
    return RequestError(f"the request's head is larger than {MAX_HEAD} bytes", code="head_too_large", status=431)


def answer_of(error: OrchError) -> bytes:
    """The last answer on a connection, where no request is there to be answered."""
    body = envelope.render(error)
    head = [STATUS_LINE[error.status], b"content-type: application/json\r\n", b"connection: close\r\n"]
    head += [b"x-orch-request-id: ", secrets.token_hex(12).encode(), b"\r\n"]
    head += [b"content-length: ", str(len(body)).encode(), b"\r\n\r\n", body]
    return b"".join(head)
