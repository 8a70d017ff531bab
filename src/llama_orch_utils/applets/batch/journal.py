# SPDX-License-Identifier: Apache-2.0
"""What a batch has done, on disk before anything else is: one line of JSON per row, each synced.

The first line tells which batch it is. A line that a crash tore off does not count. What a row made is read back from
its place in the file, so that memory holds numbers only.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from llama_orch_utils.errors import AppletError, BadRequest

Json = dict[str, Any]
SUFFIX = ".journal"


class Journal:
    """Open for one process at a time. Raises AppletError where another has it, BadRequest for that of another batch."""

    def __init__(self, path: Path, about: Json, *, fresh: bool = False) -> None:
        self.path = path
        self._places: dict[int, int] = {}
        self._file = path.open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise AppletError(f"another process writes {path}", hint="wait for it, or give another --output") from error
        try:
            if fresh:
                self._file.truncate(0)
            self.run = self._begin(about)
        except BaseException:
            self._file.close()
            raise

    @property
    def done(self) -> set[int]:
        """The rows that need not be run again."""
        return set(self._places)

    def __contains__(self, number: int) -> bool:
        return number in self._places

    def write(self, number: int, result: Json, *, sync: bool = True) -> None:
        """What a row made; it is on disk when this returns, unless not `sync`."""
        self._file.seek(0, os.SEEK_END)
        place = self._file.tell()
        self._append({"row": number, **result}, sync=sync)
        if not result.get("again"):
            self._places[number] = place

    def read(self, number: int) -> Json:
        """What a row made."""
        self._file.seek(self._places[number])
        return json.loads(self._file.readline())

    def forget(self) -> None:
        """Everything is done: the journal goes."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Lets go of it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, about: Json) -> str:
        self._file.seek(0)
        first = self._file.readline()
        if not first.endswith(b"\n"):
            self._file.truncate(0)
            run = secrets.token_hex(8)
            self._append({"run": run, **about})
            return run
        head = json.loads(first)
        if any(head.get(name) != value for name, value in about.items()):
            raise BadRequest(
                f"{self.path} is of another batch, or its rows, options or applet have changed since",
                param="/output",
                hint="begin again with --fresh, or give another --output",
            )
        whole = self._file.tell()
        while (line := self._file.readline()).endswith(b"\n"):
            found = json.loads(line)
            if not found.get("again"):
                self._places[int(found["row"])] = whole
            whole = self._file.tell()
        self._file.truncate(whole)
        return str(head["run"])

    def _append(self, record: Json, *, sync: bool = True) -> None:
        self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())
