# SPDX-License-Identifier: GPL-3.0-or-later
"""One item of a conversation, as it is stored: shared by all responses of a chain, never copied."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import cast

from llama_orch.wire.json_body import Json

_ITEM = 200  # what Python takes for an item beside its bytes, about

_PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}


class StoredItem:
    """`json` is the item, with an `id`. `holders` counts the stored responses that it belongs to."""

    __slots__ = ("holders", "id", "json")

    def __init__(self, identity: str, text: bytes) -> None:
        self.id, self.json, self.holders = identity, text, 0

    @property
    def size(self) -> int:
        """Bytes."""
        return _ITEM + len(self.json) + len(self.id)


def stored(item: Json) -> StoredItem:
    """An item that a worker has taken or given, as the API lists it: with id, type, status, and content as parts."""
    assert isinstance(item, dict), "a worker takes and gives nothing else"
    sort = str(item.get("type") or "message")
    given = item.get("id")
    identity = given if isinstance(given, str) and given else f"{_PREFIXES.get(sort, 'item')}_{secrets.token_hex(12)}"
    found: dict[str, Json] = {"id": identity, **item, "type": sort} | {"id": identity}
    if sort != "reasoning":
        found["status"] = item.get("status") or "completed"
    if sort == "message":
        found["content"] = _parts(item)
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    return StoredItem(identity, text.encode("utf-8", "replace"))


def message(text: str) -> Json:
    """What a string as `input` stands for."""
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _parts(item: Mapping[str, Json]) -> Json:
    content = item.get("content")
    if not isinstance(content, str):
        return content
    if item.get("role") == "assistant":
        return [{"type": "output_text", "text": content, "annotations": cast("Json", [])}]
    return [{"type": "input_text", "text": content}]
