# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-origin requests from a list of origins (Fetch standard, 3.2: the CORS protocol)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from llama_orch.tap.call import Call
from llama_orch_utils.errors import ConfigError, NotAllowed

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s?#]+|null")
_EXPOSED = (b"access-control-expose-headers", b"x-orch-request-id, retry-after")
_METHODS = (b"access-control-allow-methods", b"GET, POST, DELETE, HEAD, OPTIONS")
_MAX_AGE = (b"access-control-max-age", b"600")
_ASKED = re.compile(rb"[A-Za-z0-9,\s_-]{0,1000}")
_VARY = (b"vary", b"Origin")


class Cors:
    """`origins` as a browser sends them (`https://app.example:8443`), `*` for any."""

    def __init__(self, origins: Sequence[str], *, keyless: bool = False) -> None:
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin.lower().rstrip("/")):
                raise ConfigError(
                    f"{origin!r} is no web origin",
                    key="allow_origin",
                    hint="give it as https://app.example or http://host:3000",
                )
        if "*" in origins and keyless:
            raise ConfigError(
                "any web page could call a server without a key",
                key="allow_origin",
                hint="orch serve --allow-origin https://app.example",
            )
        self._any = "*" in origins
        self._origins = {origin.lower().rstrip("/").encode("latin-1", "replace") for origin in origins}

    def allows(self, origin: bytes) -> bool:
        """Whether pages of this origin may call."""
        return self._any or origin.lower() in self._origins

    def mark(self, call: Call) -> None:
        """Lets the page read the answer, where the request came from an allowed origin."""
        origin = call.headers.get(b"origin")
        if origin is not None and self.allows(origin):
            call.fixed += [(b"access-control-allow-origin", origin), _EXPOSED, _VARY]

    async def preflight(self, call: Call, methods: bytes) -> None:
        """Answers a browser that asks whether it may. Raises NotAllowed for an origin that is not on the list."""
        origin = call.headers.get(b"origin")
        if origin is None or not self.allows(origin):  # its own address: it has no pages that would ask
            raise NotAllowed("this origin may not call", hint="start the server with --allow-origin ORIGIN to allow it")
        asked = call.headers.get(b"access-control-request-headers", b"")
        headers = [_METHODS, _MAX_AGE, (b"allow", methods)]
        if asked and _ASKED.fullmatch(asked):
            headers.append((b"access-control-allow-headers", asked))
        if call.headers.get(b"access-control-request-private-network") == b"true":
            headers.append((b"access-control-allow-private-network", b"true"))
        await call.start(204, headers)
        await call.end()
