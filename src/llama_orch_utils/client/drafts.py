# SPDX-License-Identifier: Apache-2.0
"""Tool calls as a stream brings them: an id and a name, then arguments in fragments, call after call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from llama_orch_utils.client.answer import call_of, text_of
from llama_orch_utils.types import ToolCall

Json = dict[str, Any]


@dataclass(slots=True)
class _Draft:
    index: int
    id: str = ""
    name: str = ""
    fragments: list[str] = field(default_factory=list[str])


class Drafts:
    """The calls of one answer. A call is whole when the next one begins, or the answer ends."""

    __slots__ = ("_drafts", "whole")

    def __init__(self) -> None:
        self._drafts: list[_Draft] = []
        self.whole: list[ToolCall] = []

    def add(self, deltas: list[Json]) -> list[ToolCall]:
        """Take in the deltas of one event; the calls that they complete."""
        for delta in deltas:
            draft = self._meant(delta.get("index"), text_of(delta.get("id")))
            function: Json = delta.get("function") or {}
            draft.name += text_of(function.get("name"))
            fragment = function.get("arguments")
            if isinstance(fragment, dict):  # whole, from a server that reads what its model writes
                fragment = json.dumps(fragment, ensure_ascii=False)
            draft.fragments.append(text_of(fragment))
        return self._completed(len(self._drafts) - 1)

    def end(self) -> list[ToolCall]:
        """The answer is over: what has not been given yet."""
        return self._completed(len(self._drafts))

    def _meant(self, index: object, identity: str) -> _Draft:
        """The call that a delta goes on with; servers that give no index give each call an id."""
        last = self._drafts[-1] if self._drafts else None
        if isinstance(index, int):
            found = next((draft for draft in reversed(self._drafts) if draft.index == index), None)
        else:
            found = last if not identity or (last is not None and last.id == identity) else None
        if found is None:
            found = _Draft(index if isinstance(index, int) else len(self._drafts))
            self._drafts.append(found)
        found.id = found.id or identity
        return found

    def _completed(self, number: int) -> list[ToolCall]:
        new = [
            call_of(draft.id, draft.name, "".join(draft.fragments), place)
            for place, draft in enumerate(self._drafts[:number])
            if place >= len(self.whole)
        ]
        self.whole += new
        return new
