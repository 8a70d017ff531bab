# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may come in over TCP. A Unix socket needs none of this: its file's mode lets in only its owner.

Over loopback TCP every process of the machine can connect, and so can every web page that a browser of this machine
shows. Against pages: Host must be a loopback name (DNS rebinding sends another one), and so must Origin where a browser
sends it. Against other users: a bearer key, where the starter gave one through a file descriptor.
"""

from __future__ import annotations

import hmac
import os
import re

from llama_orch.worker.replies import Scope, header
from llama_orch_utils.errors import NotAllowed, NotAuthorised

_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_SCHEME = re.compile(r"https?://", re.IGNORECASE)
_MAX_KEY = 4096


class Gate:
    """`check` lets a request in or raises. `key` None: none is needed."""

    def __init__(self, *, tcp: bool, key: bytes | None) -> None:
        self._tcp = tcp
        self._key = key

    def check(self, scope: Scope) -> None:
        """Raises NotAllowed for a foreign Host or Origin, NotAuthorised for a missing or wrong key."""
        if not self._tcp:
            return
        if not _LOOPBACK.fullmatch(_text(scope, b"host")):
            raise NotAllowed("the Host header names no loopback address", hint="use http://127.0.0.1")
        origin = _text(scope, b"origin")
        if origin and not _LOOPBACK.fullmatch(_SCHEME.sub("", origin, count=1)):
            raise NotAllowed("requests from web pages are not served", hint="orch serve can allow an origin")
        if self._key is not None and scope["path"] != "/health":
            self._check_key(scope)

    def _check_key(self, scope: Scope) -> None:
        assert self._key is not None
        bearer = header(scope, b"authorization") or b""
        scheme, _, given = bearer.partition(b" ")
        if scheme.lower() != b"bearer":
            given = header(scope, b"x-api-key") or b""
        if not given:
            raise NotAuthorised("this worker wants a key", hint="send Authorization: Bearer KEY")
        if not hmac.compare_digest(given.strip(), self._key):
            raise NotAuthorised("the key is wrong", hint="send the key that the worker was started with")


def read_key(descriptor: int | None) -> bytes | None:
    """The bearer key from an inherited file descriptor, which is closed; None if there is none."""
    if descriptor is None:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MAX_KEY).strip() or None


def _text(scope: Scope, name: bytes) -> str:
    return (header(scope, name) or b"").decode("latin-1")
