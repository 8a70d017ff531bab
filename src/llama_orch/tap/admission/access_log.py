# SPDX-License-Identifier: GPL-3.0-or-later
"""The access log: one JSON object a line. Who asked for what, how it ended, what it cost; never a prompt or an answer.

Each line is one write to a file opened for appending, so that several processes share it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.tap.call import Call

_LONGEST_PATH = 200
_ENCODE = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class AccessLog:
    """`place` None: nothing is written. Raises ConfigError for a file that cannot be."""

    def __init__(self, place: Path | None) -> None:
        self._place = place
        self._descriptor: int | None = None
        self.reopen()

    def reopen(self) -> None:
        """Opens the file anew: whoever rotates logs has moved it away. Raises ConfigError."""
        from llama_orch_utils.errors import ConfigError

        if self._place is None:
            return
        try:
            found = os.open(self._place, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise ConfigError(
                f"cannot write the access log {self._place}: {error.strerror}",
                key="access_log",
                hint=f"mkdir -p {self._place.parent}",
            ) from error
        self.close()
        self._descriptor = found

    def close(self) -> None:
        """No more lines."""
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def write(self, call: Call, seconds: float) -> None:
        """The line of one request that took `seconds`. A full disk ends no answer: the line is dropped."""
        if self._descriptor is None:
            return
        line = _ENCODE(_line(call, seconds)).encode() + b"\n"
        try:
            os.write(self._descriptor, line)
        except OSError:
            return


def _line(call: Call, seconds: float) -> dict[str, object]:
    client, entry = call.client, call.entry
    found: dict[str, object] = {
        "time": round(time.time(), 3),
        "request_id": call.id,
        "method": call.scope["method"],
        "path": call.path[:_LONGEST_PATH],
        "status": call.status,
        "account": client.account or None,
        "key": client.key or None,
        "milliseconds": round(seconds * 1e3, 3),
    }
    if entry is not None:
        found |= {
            "model": entry.model,
            "outcome": entry.outcome,
            "prompt_tokens": entry.prompt_tokens,
            "cached_tokens": entry.cached_tokens,
            "output_tokens": entry.output_tokens,
            "cost": entry.cost,
            "reserved": entry.amount,
            "reservation": entry.reservation,
            "admit_milliseconds": round(entry.admit_seconds * 1e3, 3),
            "queue_milliseconds": round(entry.queue_seconds * 1e3, 3),
            "first_token_milliseconds": round(entry.first_token_seconds * 1e3, 3),
        }
        if entry.replayed:
            found["replayed"] = True
    return found
