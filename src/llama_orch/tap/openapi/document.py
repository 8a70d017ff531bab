# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole document (OpenAPI 3.1, https://spec.openapis.org/oas/v3.1.1.html)."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from llama_orch.tap import routes
from llama_orch.tap.openapi.components import Components
from llama_orch.tap.openapi.operation import argument_of, operation
from llama_orch.tap.openapi.shape import shape_of
from llama_orch.tap.openapi.sharing import shared

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_HEADERS = {
    "RequestId": {"description": "Names the request in logs and errors", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds", "required": False, "schema": {"type": "string", "pattern": "^[0-9]+$"}},
}


def document(*, keyless: bool, accounts: bool = False) -> dict[str, Any]:
    """What the route table serves; `keyless`: no key is asked for; `accounts`: they have credits."""
    from llama_orch import __version__

    components = Components()
    paths: dict[str, dict[str, Any]] = {}
    for route in (*routes.ACCOUNTS, *routes.ROUTING, *routes.ROUTES) if accounts else routes.ROUTES:
        path = route.path.replace("*", f"{{{argument_of(route.path)}}}")
        described = operation(route, shape_of(route), components, keyless=keyless, charged=accounts and bool(route.job))
        paths.setdefault(path, {})[route.method.lower()] = described
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "llama-orch",
            "version": __version__,
            "license": {"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": shared(components.schemas), "responses": components.responses, "headers": _HEADERS},
    }
    if not keyless:
        found["components"]["securitySchemes"] = _SCHEMES
        found["security"] = [{name: []} for name in _SCHEMES]
    return found


@cache
def rendered(*, keyless: bool, accounts: bool = False) -> bytes:
    """The document as JSON."""
    return json.dumps(document(keyless=keyless, accounts=accounts), separators=(",", ":")).encode()
