# SPDX-License-Identifier: GPL-3.0-or-later
"""What a starting worker tells its starter: JSON lines on stdout, until it is ready or has failed."""

from __future__ import annotations

import json
import os
import threading

from llama_orch_utils.errors import OrchError

_STEP = 0.01


class Announcer:
    """Writes to file descriptor 1, then closes it. A starter that has gone is no reason to stop. Thread-safe."""

    def __init__(self) -> None:
        # Whatever prints to stdout from now on ends in the log and cannot break the lines.
        self._descriptor: int | None = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._progress = -1.0

    def loading(self, progress: float) -> None:
        """Progress from 0 to 1; said once per hundredth."""
        if progress >= self._progress + _STEP or progress >= 1.0 > self._progress:
            self._progress = progress
            self._say({"event": "loading", "progress": round(progress, 3)})

    def warning(self, message: str, hint: str | None) -> None:
        """Something that the user should know."""
        self._say({"event": "warning", "message": message, "hint": hint})

    def ready(self, **facts: object) -> None:
        """The last line of a worker that serves."""
        self._say({"event": "ready", **facts})
        self._close()

    def failed(self, error: OrchError) -> None:
        """The last line of a worker that does not."""
        self._say({"event": "failed", "code": error.code, "message": error.message, "hint": error.hint})
        self._close()

    def _say(self, event: dict[str, object]) -> None:
        with self._lock:
            if self._descriptor is None:
                return
            try:
                os.write(self._descriptor, json.dumps(event).encode() + b"\n")
            except OSError:  # the starter was killed; whoever comes next finds this worker by its socket
                os.close(self._descriptor)
                self._descriptor = None

    def _close(self) -> None:
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
