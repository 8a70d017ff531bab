# SPDX-License-Identifier: Apache-2.0
"""MCP over stdio as lines of JSON-RPC 2.0: what the host of an applet and whoever runs it say to each other.

Source: https://modelcontextprotocol.io/specification/2025-06-18 (lifecycle, stdio, tools, progress). Written out here
because the SDK takes longer to import than a run may take to start; a test speaks to it with the SDK's client.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils.errors import (
    AppletError,
    BadRequest,
    BudgetExceeded,
    InsufficientCredits,
    InvalidAnswer,
    OrchError,
    RateLimited,
    RequestError,
    TargetError,
)

if TYPE_CHECKING:
    from llama_orch_utils.applets.manifest import Manifest

Json = dict[str, Any]
VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")
META = "llama-orch"
"""The key in `_meta` below which ours stands."""
ENDED = "notifications/llama-orch/ended"
"""A cancelled run has ended, for who asked to be told (`tell_end` in `_meta`): MCP itself answers no more then."""
MOST_LINE = 64 * 1024 * 1024
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
_SIMPLE: tuple[type[RequestError], ...] = (BadRequest, BudgetExceeded, InsufficientCredits, RateLimited)
_MONEY = (BudgetExceeded, InsufficientCredits)
_DATA = ("capability", "near_misses", "limit", "asked", "retry_after", "last_words", "phase", "seconds", "partial")
_TYPED = frozenset({
    "context_length_exceeded", "unsupported", "invalid_api_key", "not_allowed", "model_not_found", "rate_limited",
    "engine_failed", "loading", "timeout", "target_unreachable", "target_error", "stream_broken",
})  # fmt: skip
"""Codes that the client knows how to read, with what belongs to each."""
_OF_MONEY = ("limit_source", "balance", "affordable_max_tokens")
_CLIENT, _SERVER = 400, 500


def line(message: Json) -> bytes:
    """A message on the wire."""
    return json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def said(error: OrchError) -> Json:
    """An error for the other side."""
    found: Json = {"code": error.code, "message": error.message, "hint": error.hint, "status": error.status}
    if isinstance(error, RequestError):
        found["param"] = error.param
    if isinstance(error, InvalidAnswer):
        found |= {"pointer": error.pointer, "text": error.text}
    if isinstance(error, _MONEY):
        found |= {name: getattr(error, name) for name in _OF_MONEY}
    found |= {name: told for name in _DATA if (told := getattr(error, name, None)) is not None}
    return found


def heard(raw: Json) -> OrchError:
    """The error that the other side said."""
    code, message = str(raw.get("code", "")), str(raw.get("message", "it failed and did not say why"))
    hint, status = raw.get("hint"), int(raw.get("status") or _SERVER)
    if code == AppletError.code:
        return AppletError(message, hint=hint)
    if code == InvalidAnswer.code:
        return InvalidAnswer(message, pointer=str(raw.get("pointer", "")), text=str(raw.get("text", "")), hint=hint)
    if code in _TYPED:
        from llama_orch_utils.client.failure import error_of_fields
        from llama_orch_utils.transport.exchange import Head

        typed = error_of_fields(raw, Head(status, {}), "")
        typed.target = None
        return typed
    for kind in _SIMPLE:
        if code == kind.code:
            found = kind(message, hint=hint)
            found.param = raw.get("param")
            if isinstance(found, _MONEY):
                for name in _OF_MONEY:
                    setattr(found, name, raw.get(name, getattr(found, name)))
            return found
    if _CLIENT <= status < _SERVER:
        return RequestError(message, param=raw.get("param"), hint=hint, code=code, status=status)
    return TargetError(message, hint=hint, code=code, status=status)


def on_paper(manifest: Manifest) -> Json:
    """A manifest for the other side."""
    return asdict(manifest)


def manifest_of(raw: Json) -> Manifest:
    """The manifest that the other side said."""
    from llama_orch_utils.applets.manifest import Manifest

    # An environment may have an SDK that is newer than ours: what we do not know of its manifest, we leave.
    known: dict[str, Any] = {each.name: _frozen(raw[each.name]) for each in fields(Manifest) if each.name in raw}
    return Manifest(**known)


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(cast("list[Any]", value))
    if isinstance(value, dict):
        return {name: _frozen(each) for name, each in cast("Json", value).items()}
    return value
