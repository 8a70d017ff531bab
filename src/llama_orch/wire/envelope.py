# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors on the wire: the OpenAI error envelope, with our `hint` and each error's own data beside its members.

`{"error": {"message", "type", "param", "code", "hint", …}}`. What else stands in it, by `code`:
context_length_exceeded: `limit`, `asked` · unsupported: `capability` · model_not_found: `near_misses` ·
rate_limited: `retry_after` · insufficient_credits, budget_exceeded: `limit_source`, `balance`, `affordable_max_tokens`,
and the same three in `metadata`, as OpenRouter has them · timeout: `phase`, `seconds`. An engine's last words and an
answer's text stay on the server.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from llama_orch_utils.errors import OrchError, RequestError

_DATA = (
    "limit",
    "asked",
    "capability",
    "near_misses",
    "retry_after",
    "balance",
    "affordable_max_tokens",
    "limit_source",
    "phase",
    "seconds",
)
_METADATA = ("limit_source", "balance", "affordable_max_tokens")
_PAYMENT_REQUIRED = 402
_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_FIRST_SERVER_STATUS = 500


def error_type(status: int) -> str:
    """The envelope's `type` for an HTTP status, as OpenAI names them."""
    if status >= _FIRST_SERVER_STATUS:
        return "server_error"
    return _TYPES.get(status, "invalid_request_error")


def render(error: OrchError) -> bytes:
    """The envelope of `error` as JSON (no line breaks: it fits one SSE data line)."""
    members: dict[str, object] = {
        "message": error.message,
        "type": error_type(error.status),
        "param": error.param if isinstance(error, RequestError) else None,
        "code": error.code,
        "hint": error.hint,
    }
    for name in _DATA:
        value = getattr(error, name, None)
        if value is not None:
            members[name] = value
    if error.status == _PAYMENT_REQUIRED:
        members["metadata"] = {name: getattr(error, name, None) for name in _METADATA}
    return json.dumps({"error": members}, ensure_ascii=False).encode("utf-8", "replace")


def headers(error: OrchError) -> list[tuple[bytes, bytes]]:
    """The HTTP headers that belong to `error`: Retry-After in whole seconds, WWW-Authenticate, both where due."""
    found: list[tuple[bytes, bytes]] = []
    retry_after = getattr(error, "retry_after", None)
    if isinstance(retry_after, int | float):
        found.append((b"retry-after", str(max(1, math.ceil(retry_after))).encode()))
    if error.status == 401:  # noqa: PLR2004 - RFC 9110, 15.5.2: a 401 names the scheme
        found.append((b"www-authenticate", b"Bearer"))
    return found


def sse(error: OrchError) -> bytes:
    """The frame that ends a running stream: after it comes nothing, no [DONE] either."""
    return b"data: " + render(error) + b"\n\n"
