# SPDX-License-Identifier: GPL-3.0-or-later
"""The access log: one JSON object a line. Who asked for what, how it ended, what it cost; never a prompt or an answer.

What ends in one round of the event loop is one write to a file opened for appending, so that several processes share
it: a line is never torn, and there a moment after its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.tap.call import Call

_LONGEST_PATH = 200

# Put together from texts that come again and again: an encoder takes four times as long, 10 µs more. A
# request's id is made of letters that need no quoting (`call`).
_WHO = '{"time":%.3f,"request_id":"%s","method":%s,"path":%s,"status":%d,"account":%s,"key":%s,"milliseconds":%.3f'
_WHAT = (
    ',"model":%s,"outcome":%s,"prompt_tokens":%d,"cached_tokens":%d,"output_tokens":%d,"cost":%s,"reserved":%d,'
    '"reservation":%s,"admit_milliseconds":%.3f,"queue_milliseconds":%.3f,"first_token_milliseconds":%.3f'
)


class AccessLog:
    """`place` None: nothing is written. Raises ConfigError for a file that cannot be."""

    def __init__(self, place: Path | None) -> None:
        self._place = place
        self._descriptor: int | None = None
        self._lines: list[str] = []
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
        self._flush()
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def write(self, call: Call, seconds: float) -> None:
        """The line of one request that took `seconds`. A full disk ends no answer: the line is dropped."""
        if self._descriptor is None:
            return
        if not self._lines:  # a batch of settlements ends many requests in one round of the event loop
            asyncio.get_running_loop().call_soon(self._flush)
        self._lines.append(_line(call, seconds))

    def _flush(self) -> None:
        lines, self._lines = self._lines, []
        if lines and self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, "\n".join((*lines, "")).encode())


def _line(call: Call, seconds: float) -> str:
    client, entry = call.client, call.entry
    method, path = _json(call.scope["method"]), _json(call.path[:_LONGEST_PATH])
    account, key = _json(client.account or None), _json(client.key or None)
    line = _WHO % (time.time(), call.id, method, path, call.status, account, key, seconds * 1e3)
    if client.run:
        line += f',"run":{_json(client.run)}'
    if entry is not None:
        line += _WHAT % (
            _json(entry.model), _json(entry.outcome), entry.prompt_tokens, entry.cached_tokens, entry.output_tokens,
            _number(entry.cost), entry.amount, _number(entry.reservation), entry.admit_seconds * 1e3,
            entry.queue_seconds * 1e3, entry.first_token_seconds * 1e3,
        )  # fmt: skip
        if entry.replayed:
            line += ',"replayed":true'
    return line + "}"


@functools.lru_cache(maxsize=1024)
def _json(word: str | None) -> str:
    return json.dumps(word)


def _number(given: int | None) -> str:
    return "null" if given is None else str(given)
