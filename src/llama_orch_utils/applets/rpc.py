# SPDX-License-Identifier: Apache-2.0
"""MCP over stdio as lines of JSON-RPC 2.0: what the host of an applet and whoever runs it say to each other.

Source: https://modelcontextprotocol.io/specification/2025-06-18 (lifecycle, stdio, tools, progress). Written out here
because the SDK takes longer to import than a run may take to start; a test speaks to it with the SDK's client.
"""

from __future__ import annotations

import json
from dataclasses import asdict
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
MOST_LINE = 64 * 1024 * 1024
PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
_SIMPLE: tuple[type[RequestError], ...] = (BadRequest, BudgetExceeded, InsufficientCredits, RateLimited)
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
    return found


def heard(raw: Json) -> OrchError:
    """The error that the other side said."""
    code, message = str(raw.get("code", "")), str(raw.get("message", "it failed and did not say why"))
    hint, status = raw.get("hint"), int(raw.get("status") or _SERVER)
    if code == AppletError.code:
        return AppletError(message, hint=hint)
    if code == InvalidAnswer.code:
        return InvalidAnswer(message, pointer=str(raw.get("pointer", "")), text=str(raw.get("text", "")), hint=hint)
    for kind in _SIMPLE:
        if code == kind.code:
            found = kind(message, hint=hint)
            found.param = raw.get("param")
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

    lists = {name: tuple(cast("list[Any]", value)) for name, value in raw.items() if isinstance(value, list)}
    known: dict[str, Any] = {**raw, **lists}
    return Manifest(**known)
