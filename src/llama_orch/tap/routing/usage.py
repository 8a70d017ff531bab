# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server elsewhere says that an answer took, found in its bytes: OpenAI's `usage`, DeepSeek's cached part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from llama_orch.wire.receipt import Receipt

NAME = b'"usage"'
_DECODER = json.JSONDecoder()

Told = Mapping[str, object]


def told(data: bytes) -> tuple[Told, int, int] | None:
    """The last usage object in a piece of JSON, and where it begins and ends; None where there is none."""
    at = data.rfind(NAME)
    while at >= 0:
        start = _value_at(data, at + len(NAME))
        if start is not None:
            found = _object(data, start)
            if found is not None:
                return found
        at = data.rfind(NAME, 0, at)
    return None


def receipt_of(usage: Told | None, outcome: str) -> Receipt:
    """The same as a receipt; without counts where nothing was told."""
    if usage is None:
        return Receipt(outcome=outcome)
    prompt = _count(usage, "prompt_tokens")
    output = _count(usage, "completion_tokens")
    details = usage.get("prompt_tokens_details")
    cached = _count(cast("Told", details), "cached_tokens") if isinstance(details, dict) else 0
    cached = cached or _count(usage, "prompt_cache_hit_tokens")
    return Receipt(prompt, min(cached, prompt), output, outcome=outcome)


def with_cost(data: bytes, end: int, cost: int) -> bytes:
    """`data` with `cost` as the last member of the usage object that ends at `end`."""
    return b'%b,"cost":%d%b' % (data[: end - 1].rstrip(), cost, data[end - 1 :])


def _object(data: bytes, start: int) -> tuple[Told, int, int] | None:
    text = data[start:].decode("utf-8", "replace")
    try:
        found, length = _DECODER.raw_decode(text)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    end = start + len(text[:length].encode())
    usage = cast("Told", found)
    return (usage, start, end) if isinstance(usage.get("prompt_tokens"), int) else None


def _value_at(data: bytes, at: int) -> int | None:
    """Where the value begins of the member whose name ends at `at`; None where that is no member with an object."""
    rest = data[at : at + 64]
    bare = rest.lstrip()
    if not bare.startswith(b":"):
        return None
    value = bare[1:].lstrip()
    return at + len(rest) - len(value) if value.startswith(b"{") else None


def _count(usage: Told, name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
