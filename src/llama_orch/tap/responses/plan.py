# SPDX-License-Identifier: GPL-3.0-or-later
"""A request body on its way to the worker: with everything in it that it only refers to."""

from __future__ import annotations

import json
from typing import cast

from llama_orch.tap.responses.item import StoredItem, message, stored
from llama_orch.tap.responses.refusals import no_item, no_previous, not_over
from llama_orch.tap.responses.store import Store
from llama_orch.tap.wanted import model_of
from llama_orch.wire import json_body
from llama_orch.wire.fields import unsupported
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.responses.request import EXPANDED
from llama_orch_utils.errors import BadRequest

_LONGEST_MODEL = 512


class Plan:
    """What is to be done. `body` goes to the worker; `given` are the items that the model is given, once it took them.

    Raises RequestError (404) where the body refers to what is not stored.
    """

    def __init__(self, body: bytes, store: Store, owner: str) -> None:
        document = _read(body)
        if EXPANDED in document:
            raise unsupported(EXPANDED, pointer("", EXPANDED))
        self.stored = document.get("store") is not False
        self.background = document.get("background") is True
        self.stream = document.get("stream") is True
        self.model = _model(document, body)
        self.body = body
        self._given: tuple[StoredItem, ...] | None = None
        self._before: tuple[StoredItem, ...] = ()
        self._new = _items(document)
        previous = document.get("previous_response_id")
        refers = [index for index, item in enumerate(self._new) if _is_reference(item)]
        if previous is None and not refers and not self.background:
            return
        document = json_body.parse(body)  # a body that is written anew must not hide what the worker would refuse
        if isinstance(previous, str):
            self._before = _past(store, owner, previous)
        for index in refers:
            self._new[index] = _referred(store, owner, self._new[index], pointer("/input", index))
        self.body = self._written(document)

    @property
    def given(self) -> tuple[StoredItem, ...]:
        """All input items, those of the past first; the worker has to have taken them."""
        if self._given is None:
            new = [item if isinstance(item, StoredItem) else stored(item) for item in self._new]
            self._given = (*self._before, *new)
        return self._given

    def _written(self, document: dict[str, Json]) -> bytes:
        kept = {name: value for name, value in document.items() if name != "input"}
        kept[EXPANDED] = len(self._before)
        if self.background:
            kept["stream"] = True
        head = json.dumps(kept, ensure_ascii=False).encode()
        if "input" in document and not isinstance(document["input"], str | list):
            return body_with(head, json.dumps(document["input"]).encode())
        items = [item.json for item in self._before]
        items += [item.json if isinstance(item, StoredItem) else _dumped(item) for item in self._new]
        return body_with(head, b"[" + b",".join(items) + b"]")


def body_with(head: bytes, items: bytes) -> bytes:
    """The JSON object `head` with a member `input`."""
    return head[:-1] + b', "input": ' + items + b"}"


def _read(body: bytes) -> dict[str, Json]:
    try:
        found: object = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return json_body.parse(body)  # says in words what is wrong
    return cast("dict[str, Json]", found) if isinstance(found, dict) else json_body.parse(body)


def _model(document: dict[str, Json], body: bytes) -> str | None:
    name = document.get("model")
    if isinstance(name, str) and 0 < len(name) <= _LONGEST_MODEL:
        return name
    return model_of(body)


def _items(document: dict[str, Json]) -> list[Json | StoredItem]:
    value = document.get("input")
    if isinstance(value, str):
        return [message(value)]
    return list(value) if isinstance(value, list) else []


def _is_reference(item: Json | StoredItem) -> bool:
    if not isinstance(item, dict):
        return False
    return item.get("type") == "item_reference" or (item.get("type") is None and "role" not in item and "id" in item)


def _past(store: Store, owner: str, identity: str) -> tuple[StoredItem, ...]:
    previous = store.get(owner, identity)
    if previous is None:
        raise no_previous(identity)
    if not previous.final:
        raise not_over(identity)
    return previous.items


def _referred(store: Store, owner: str, item: Json | StoredItem, where: str) -> StoredItem:
    identity = item.get("id") if isinstance(item, dict) else None
    if not isinstance(identity, str):
        raise BadRequest("an item_reference needs the id of an item", param=pointer(where, "id"))
    found = store.item(owner, identity)
    if found is None:
        raise no_item(identity, pointer(where, "id"))
    return found


def _dumped(item: Json) -> bytes:
    return json.dumps(item, ensure_ascii=False).encode()
