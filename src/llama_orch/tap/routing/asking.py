# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server elsewhere is asked instead of what the client wrote: its own name of the model, the usage, a limit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from llama_orch.tap.routing.splice import spliced

_USAGE = "stream_options"
_LIMITS = ("max_completion_tokens", "max_tokens")

Document = Mapping[str, object]


def wants_usage(document: Document) -> bool:
    """Whether the client itself asked for the usage of its stream."""
    return _options(document).get("include_usage") is True


def asked(body: bytes, document: Document, *, model: str, limit: int | None = None) -> bytes:
    """The body for a server that calls the model `model`; `document` is the body parsed.

    A stream is asked to tell its usage at its end. `limit` tokens of output are the most (None: as the client said).
    """
    members: dict[str, bytes] = {}
    if document.get("model") != model:
        members["model"] = json.dumps(model).encode()
    if document.get("stream") is True and not wants_usage(document):
        members[_USAGE] = json.dumps({**_options(document), "include_usage": True}).encode()
    if limit is not None:
        given = [name for name in _LIMITS if document.get(name) is not None] or [_LIMITS[1]]
        members |= {name: b"%d" % limit for name in given if document.get(name) != limit}
    return spliced(body, members) if members else body


def _options(document: Document) -> Document:
    found = document.get(_USAGE)
    return cast("Document", found) if isinstance(found, dict) else {}
