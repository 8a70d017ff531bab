# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as Anthropic's API has them: `{"type": "error", "error": {"type", "message"}, "request_id"}`.

Beside `type` and `message` stand our `code`, `hint`, `param` and each error's own data, as in the other dialects.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from llama_orch.wire import envelope
from llama_orch_utils.errors import ContextTooLong, OrchError

TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_FIRST_SERVER_STATUS = 500


def error_type(status: int) -> str:
    """Anthropic's word for an HTTP status."""
    return TYPES.get(status, "api_error" if status >= _FIRST_SERVER_STATUS else "invalid_request_error")


def failure(error: OrchError) -> bytes:
    """The error as JSON (no line breaks: it fits one SSE data line)."""
    found = json.loads(envelope.render(error))["error"]
    members = {**found, "type": error_type(error.status), "message": _message(error)}
    body = {"type": "error", "error": members, "request_id": error.request_id}
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def event(error: OrchError) -> bytes:
    """The event that ends a running stream."""
    return b"event: error\ndata: " + failure(error) + b"\n\n"


def _message(error: OrchError) -> str:
    # Claude Code knows by these words that it has to compact the conversation.
    if isinstance(error, ContextTooLong):
        return f"prompt is too long: {error.asked} tokens > {error.limit} maximum"
    return error.message
