# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-sent events with their name in the event and in the data, numbered from 0."""

from __future__ import annotations

import json
from collections.abc import Mapping


class Events:
    """Numbers the events of one stream."""

    def __init__(self) -> None:
        self._next = 0

    def next(self) -> int:
        """The number of the event that is about to be written."""
        number = self._next
        self._next = number + 1
        return number

    def frame(self, kind: str, members: Mapping[str, object]) -> bytes:
        """One event."""
        data = {"type": kind, **members, "sequence_number": self.next()}
        return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode("utf-8", "replace")
