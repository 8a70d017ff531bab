# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished responses in memory, each visible to the key that asked for it, bounded in number and in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from llama_orch.tap.responses.item import StoredItem

MOST_RESPONSES = 4096
MOST_BYTES = 64 * 1024 * 1024
_RECORD = 512  # what Python takes for a record beside its bytes, about
_REFERENCE = 8


class StoredResponse:
    """One response. `body` is its JSON, `given` everything that the model was given, `said` what it said.

    `events` are the frames of a background response, for those who stream it again. `final` says whether it may be
    continued: it is completed, or max_output_tokens ended it.
    """

    __slots__ = ("background", "body", "events", "final", "given", "id", "said")

    def __init__(
        self,
        identity: str,
        body: bytes,
        given: tuple[StoredItem, ...],
        said: tuple[StoredItem, ...],
        *,
        final: bool,
        background: bool = False,
        events: tuple[bytes, ...] | None = None,
    ) -> None:
        self.id, self.body, self.given, self.said = identity, body, given, said
        self.final, self.background, self.events = final, background, events

    @property
    def items(self) -> tuple[StoredItem, ...]:
        """What a response that continues this one begins with."""
        return self.given + self.said

    @property
    def size(self) -> int:
        """Bytes, without the items: those are shared with other responses."""
        events = sum(map(len, self.events)) if self.events else 0
        return _RECORD + len(self.body) + events + _REFERENCE * len(self.items)


class Shelf:
    """What one key has stored, the least recently used first."""

    def __init__(self) -> None:
        self.responses: OrderedDict[str, StoredResponse] = OrderedDict()
        self.items: dict[str, StoredItem] = {}
        self.bytes = 0

    def hold(self, items: Iterable[StoredItem]) -> None:
        """Counts one more holder of each item; the first one pays for it."""
        for item in items:
            if not item.holders:
                self.bytes += item.size
                self.items[item.id] = item
            item.holders += 1

    def release(self, items: Iterable[StoredItem]) -> None:
        """Takes one holder away from each item."""
        for item in items:
            item.holders -= 1
            if not item.holders:
                self.bytes -= item.size
                if self.items.get(item.id) is item:
                    del self.items[item.id]


class Store:
    """At most `most_responses` and `most_bytes`.

    Where one is exceeded, the key that takes most of it loses its least recently used response: nobody can push out
    what others have stored.
    """

    def __init__(self, most_responses: int = MOST_RESPONSES, most_bytes: int = MOST_BYTES) -> None:
        self._most_responses, self._most_bytes = most_responses, most_bytes
        self._shelves: dict[str, Shelf] = {}

    def __len__(self) -> int:
        return sum(len(shelf.responses) for shelf in self._shelves.values())

    @property
    def bytes(self) -> int:
        """What all of it takes."""
        return sum(shelf.bytes for shelf in self._shelves.values())

    def get(self, owner: str, identity: str) -> StoredResponse | None:
        """The response, which is now the most recently used one; None where that key has none of this id."""
        shelf = self._shelves.get(owner)
        found = shelf.responses.get(identity) if shelf is not None else None
        if shelf is not None and found is not None:
            shelf.responses.move_to_end(identity)
        return found

    def item(self, owner: str, identity: str) -> StoredItem | None:
        """The item of that id in any of the key's responses."""
        shelf = self._shelves.get(owner)
        return None if shelf is None else shelf.items.get(identity)

    def put(self, owner: str, response: StoredResponse) -> None:
        """Stores it, in place of one of the same id."""
        self.remove(owner, response.id)
        shelf = self._shelves.setdefault(owner, Shelf())
        shelf.responses[response.id] = response
        shelf.hold(response.items)
        shelf.bytes += response.size
        while len(self) > self._most_responses:
            self._evict(max(self._shelves, key=lambda key: len(self._shelves[key].responses)))
        while self.bytes > self._most_bytes:
            self._evict(max(self._shelves, key=lambda key: self._shelves[key].bytes))

    def remove(self, owner: str, identity: str) -> bool:
        """Forgets it; False where there is none."""
        shelf = self._shelves.get(owner)
        if shelf is None or identity not in shelf.responses:
            return False
        response = shelf.responses.pop(identity)
        shelf.bytes -= response.size
        shelf.release(response.items)
        if not shelf.responses:
            del self._shelves[owner]
        return True

    def forget(self, owner: str) -> None:
        """Forgets everything of that key."""
        self._shelves.pop(owner, None)

    def _evict(self, owner: str) -> None:
        self.remove(owner, next(iter(self._shelves[owner].responses)))
