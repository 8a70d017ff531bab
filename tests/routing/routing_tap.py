# SPDX-License-Identifier: GPL-3.0-or-later
"""Words that the tests of routing share."""

from __future__ import annotations

from typing import Any

from gateway_process import Gateway
from openai_server import OpenAiServer
from tap_process import upstream


def model(*servers: OpenAiServer, name: str = "m", **more: Any) -> dict[str, Any]:
    """A model that these servers answer for."""
    return {"name": name, "upstreams": [upstream(each.name, each.url) for each in servers]} | more


def status(tap: Gateway) -> Any:
    found = tap.call("GET", "/v1/routes/status")
    assert found.status == 200, found.body
    return found.json


def way(tap: Gateway, identity: str, name: str = "m") -> Any:
    """What the tap says of one upstream."""
    ways = next(each["ways"] for each in status(tap)["models"] if each["model"] == name)
    return next(each for each in ways if each["id"] == identity)
