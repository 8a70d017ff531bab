# SPDX-License-Identifier: Apache-2.0
"""Keys by which a tap knows a request again (`Idempotency-Key`), after whoever sent it was killed."""

from __future__ import annotations

import hashlib
import threading


class Repeat:
    """The requests of one piece of work: the same body has the same key, the second time another one, and so on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    def key(self, path: str, body: bytes) -> str:
        """The key of a request: at most 255 visible ASCII characters."""
        digest = hashlib.sha256(path.encode() + b"\0" + body).hexdigest()[:24]
        with self._lock:
            times = self._seen[digest] = self._seen.get(digest, 0) + 1
        return f"{self._name[:200]}-{digest}-{times}"
