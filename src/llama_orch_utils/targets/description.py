# SPDX-License-Identifier: Apache-2.0
"""What a tap says about itself at `/.well-known/llama-orch`: nothing about it has to be typed twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

from llama_orch_utils.account import Pricing
from llama_orch_utils.errors import ConfigError

PATH = "/.well-known/llama-orch"
_MOST_BYTES = 1 << 20
_NOWHERE = ("example", "invalid", "test")
"""Names that no resolver is asked for (RFC 2606): documentation is full of them."""
_MODES = ("public", "private")


@dataclass(frozen=True, slots=True)
class DescribedModel:
    """A model of a tap. `pricing` None: nothing is charged, or by another measure."""

    id: str
    context: int | None
    capabilities: tuple[str, ...]
    pricing: Pricing | None


@dataclass(frozen=True, slots=True)
class TapDescription:
    """A tap: `mode` public or private, `api` the base address for clients, `terms` an address or words."""

    mode: str
    name: str
    api: str
    terms: str | None
    currency: str
    dialects: tuple[str, ...]
    models: tuple[DescribedModel, ...]


def describe(url: str, seconds: float = 5.0) -> TapDescription | None:
    """The description of the tap at `url` (with or without its `/v1`); None where no tap describes itself.

    Sends no key, and follows no redirect. Raises ConfigError where a tap describes itself wrongly.
    """
    import httpx

    parts = urlsplit(url)
    root = f"{parts.scheme}://{parts.netloc}"
    if (parts.hostname or "").rpartition(".")[2] in _NOWHERE:
        return None
    try:
        with httpx.Client(timeout=seconds, follow_redirects=False) as client, client.stream("GET", root + PATH) as told:
            if told.status_code != 200:  # noqa: PLR2004 - HTTP
                return None
            body = _body(told)
        found: object = json.loads(body)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return None
    return _read(cast("dict[str, Any]", found), root) if isinstance(found, dict) else None


def _body(told: Any) -> bytes:
    body = bytearray()
    for chunk in told.iter_bytes():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise ValueError("too long for a description")
    return bytes(body)


def _read(raw: dict[str, Any], root: str) -> TapDescription | None:
    if raw.get("mode") not in _MODES:
        return None
    path = raw.get("api", "/v1")
    # A tap may name its own paths, and nobody else's host: keys go there.
    if not isinstance(path, str) or not path.startswith("/") or path.startswith("//") or "\\" in path:
        raise ConfigError(f"the tap at {root} names an odd address for its API", key="api", hint="tell its operator")
    models = raw.get("models")
    return TapDescription(
        mode=str(raw["mode"]),
        name=str(raw.get("name") or ""),
        api=root + path,
        terms=str(raw["terms"]) if raw.get("terms") else None,
        currency=str(raw.get("currency") or "EUR"),
        dialects=tuple(str(each) for each in cast("list[object]", raw.get("dialects") or [])),
        models=tuple(_model(each) for each in cast("list[object]", models) if isinstance(each, dict))
        if isinstance(models, list)
        else (),
    )


def _model(entry: Any) -> DescribedModel:
    from llama_orch_utils.client.account import pricing_of

    context = entry.get("context")
    return DescribedModel(
        id=str(entry.get("id") or ""),
        context=context if isinstance(context, int) and not isinstance(context, bool) else None,
        capabilities=tuple(str(each) for each in cast("list[object]", entry.get("capabilities") or [])),
        pricing=pricing_of(cast("dict[str, Any]", entry)),
    )
