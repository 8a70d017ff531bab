# SPDX-License-Identifier: Apache-2.0
"""From an HTTP error to the error of the tree that it means.

The body is OpenAI's envelope, `{"error": {"message", "type", "param", "code", …}}`, with `hint` and the data of the
error beside it; llama-server's and plain bodies are understood as far as they go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from llama_orch_utils.client.answer import request_id_of
from llama_orch_utils.errors import (
    BadRequest,
    BudgetExceeded,
    ContextTooLong,
    EngineFailed,
    InsufficientCredits,
    InvalidAnswer,
    ModelNotFound,
    NotAllowed,
    NotAuthorised,
    OrchError,
    RateLimited,
    RequestError,
    StreamBroken,
    TargetError,
    TargetTimeout,
    TargetUnreachable,
    UnsupportedByTarget,
)
from llama_orch_utils.transport.exchange import Head

Json = dict[str, Any]
LOGIN = "orch auth login"  # the hint for a key; whoever knows the target names it
REDIRECT, CLIENT_ERROR, PAYMENT, SERVER_ERROR = 300, 400, 402, 500  # HTTP status codes, RFC 9110, 15
_WORDS_OF_STATUS = {301: "moved", 302: "moved", 307: "moved", 308: "moved", 404: "not found", 405: "not allowed"}
_NUMBERS = re.compile(r"(\d{2,9})\D+?(\d{2,9})")


def error_of(head: Head, body: bytes, target: str, *, secret: str = "") -> OrchError:
    """The error that a reply with a status other than 200 means; `secret` never appears in it."""
    body = _scrubbed(body, secret)
    fields = envelope_of(body)
    status = head.status
    if fields is None:
        return _annotated(_bare(head, body, target), status, body, head, target)
    return error_of_fields(fields, head, target, body)


def error_of_fields(fields: Json, head: Head, target: str, body: bytes = b"") -> OrchError:
    """The error that the inside of an envelope means: by its code, else by the status."""
    code = str(fields.get("code") or fields.get("type") or "")
    status = head.status if head.status >= CLIENT_ERROR else _number(fields.get("status")) or 0
    data = {**cast("Json", fields["metadata"]), **fields} if isinstance(fields.get("metadata"), dict) else fields
    make = _BY_CODE.get(code) or _BY_CODE.get(str(fields.get("type"))) or _by_status(status, data)
    error = make(_message(fields, head), data, head)
    error.code = code if code and code in _OURS else error.code
    # How long to wait, the answer's header says better than the words of the target.
    if not (isinstance(error, RateLimited) and error.retry_after is not None):
        error.hint = _text(fields.get("hint")) or error.hint
    if isinstance(error, RequestError):
        error.param = _pointer(fields.get("param")) or error.param
    return _annotated(error, status or error.status, body, head, target)


def envelope_of(body: bytes) -> Json | None:
    """The inside of an error envelope, or None if the body is none."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    inner = cast("Json", found).get("error") if isinstance(found, dict) else None
    if isinstance(inner, str):
        return {"message": inner}
    return cast("Json", inner) if isinstance(inner, dict) else None


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds of a `Retry-After` header: a number, or a date (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(float(text), 0.0) if text.replace(".", "", 1).isdigit() else _seconds_until(text)
    except (ValueError, OverflowError, TypeError):
        return None


def _seconds_until(date: str) -> float:
    import email.utils
    import time

    return max(email.utils.parsedate_to_datetime(date).timestamp() - time.time(), 0.0)


def _scrubbed(body: bytes, secret: str) -> bytes:
    return body.replace(secret.encode(), b"[key]") if secret else body


def _annotated(error: OrchError, status: int, body: bytes, head: Head, target: str) -> OrchError:
    error.status, error.target, error.request_id = status, target, request_id_of(head)
    if isinstance(error, RequestError):
        error.body = body
    return error


def _bare(head: Head, body: bytes, target: str) -> OrchError:
    """The error for a reply without an envelope: a proxy's page, another kind of server."""
    status = head.status
    if REDIRECT <= status < CLIENT_ERROR:
        return TargetError(
            f"{target} answers with a redirect (status {status}), which is not followed",
            hint="orch target add NAME with the address that it redirects to",
        )
    words = _WORDS_OF_STATUS.get(status, body[:200].decode("utf-8", "replace").strip().split("\n")[0])
    message = f"{target} answered with status {status}" + (f": {words}" if words else "")
    if status in (404, 405):
        error = RequestError(message, code="not_found")
        error.hint = "check the address of the target: does it end in /v1?"
        return error
    return _by_status(status, {})(message, {}, head)


def _message(fields: Json, head: Head) -> str:
    return _text(fields.get("message")) or f"the target answered with status {head.status}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _pointer(value: object) -> str | None:
    """`param` as a JSON pointer: OpenAI writes `messages[0].content`, we write `/messages/0/content`."""
    if not isinstance(value, str) or not value:
        return None
    return value if value.startswith("/") else "/" + value.replace("[", "/").replace("]", "").replace(".", "/")


Make = Callable[[str, Json, Head], OrchError]


def _context(message: str, data: Json, head: Head) -> OrchError:
    del head
    limit, asked = _number(data.get("limit")), _number(data.get("asked"))
    limit = limit if limit is not None else _number(data.get("n_ctx"))
    asked = asked if asked is not None else _number(data.get("n_prompt_tokens"))
    if limit is None or asked is None:
        found = _NUMBERS.search(message.replace(",", ""))
        if found is None:
            return BadRequest(message, code=ContextTooLong.code)
        limit, asked = int(found[1]), int(found[2])
    return ContextTooLong(
        message, limit=limit, asked=asked, hint="shorten the prompt, or use a model with more context"
    )


def _model(message: str, data: Json, head: Head) -> OrchError:
    del head
    near = data.get("near_misses")
    names = cast("list[object]", near) if isinstance(near, list) else []
    return ModelNotFound(message, near_misses=tuple(str(name) for name in names), hint="orch models ls")


def _unsupported(message: str, data: Json, head: Head) -> OrchError:
    del head
    name = _text(data.get("capability")) or (_pointer(data.get("param")) or "").strip("/")
    return UnsupportedByTarget(message, capability=name)


def _rate(message: str, data: Json, head: Head) -> OrchError:
    after = retry_after_of(head.headers)
    told = data.get("retry_after")
    if after is None and isinstance(told, (int, float)):
        after = float(told)
    hint = f"try again in {after:.0f} s" if after is not None else "try again later"
    return RateLimited(message, retry_after=after, hint=hint)


def _credits(message: str, data: Json, head: Head) -> OrchError:
    del head
    return InsufficientCredits(
        message,
        balance=_number(data.get("balance")),
        affordable_max_tokens=_number(data.get("affordable_max_tokens")),
        hint="orch credits",
    )


def _budget(message: str, data: Json, head: Head) -> OrchError:
    del head
    return BudgetExceeded(message, limit_source=_text(data.get("limit_source")) or None, hint="orch usage")


def _engine(message: str, data: Json, head: Head) -> OrchError:
    return EngineFailed(message, last_words=_text(data.get("last_words")), retry_after=retry_after_of(head.headers))


def _timeout(message: str, data: Json, head: Head) -> OrchError:
    del head
    seconds = data.get("seconds")
    return TargetTimeout(
        message,
        phase=_text(data.get("phase")) or "total",
        seconds=float(seconds) if isinstance(seconds, (int, float)) else 0.0,
    )


def _stream(message: str, data: Json, head: Head) -> OrchError:
    del head
    return StreamBroken(message, partial=_text(data.get("partial")))


def _invalid(message: str, data: Json, head: Head) -> OrchError:
    del head
    return InvalidAnswer(message, pointer=_text(data.get("pointer")), text=_text(data.get("text")))


def _plain(kind: Callable[[str], OrchError], hint: str | None = None) -> Make:
    def make(message: str, data: Json, head: Head) -> OrchError:
        del data, head
        error = kind(message)
        error.hint = hint
        return error

    return make


_BAD = _plain(BadRequest)
_KEY = _plain(NotAuthorised, LOGIN)
_OURS: dict[str, Make] = {
    "bad_request": _BAD,
    "context_length_exceeded": _context,
    "unsupported": _unsupported,
    "invalid_api_key": _KEY,
    "not_allowed": _plain(NotAllowed),
    "model_not_found": _model,
    "rate_limited": _rate,
    "insufficient_credits": _credits,
    "budget_exceeded": _budget,
    "engine_failed": _engine,
    "loading": _engine,
    "timeout": _timeout,
    "target_unreachable": _plain(TargetUnreachable),
    "target_error": _plain(TargetError),
    "stream_broken": _stream,
    "invalid_answer": _invalid,
}
# What other servers call the same things (OpenAI, llama-server, Anthropic's types behind proxies).
_BY_CODE: dict[str, Make] = _OURS | {
    "exceed_context_size_error": _context,
    "unsupported_parameter": _unsupported,
    "unsupported_value": _unsupported,
    "not_supported_error": _unsupported,
    "authentication_error": _KEY,
    "insufficient_quota": _credits,
    "rate_limit_exceeded": _rate,
    "permission_error": _plain(NotAllowed),
}


def _by_status(status: int, fields: Json) -> Make:
    if status == PAYMENT:
        return _budget if fields.get("limit_source") not in (None, "credits") else _credits
    found: dict[int, Make] = {401: _KEY, 403: _plain(NotAllowed), 408: _timeout, 429: _rate, 504: _timeout}
    if status in found:
        return found[status]
    if status in (400, 413, 422):
        return _BAD
    return _plain(RequestError) if CLIENT_ERROR <= status < SERVER_ERROR else _plain(TargetError)
