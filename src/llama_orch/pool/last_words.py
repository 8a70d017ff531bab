# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a worker's log: what it said before it fell silent."""

from __future__ import annotations

import os
from pathlib import Path

from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import ConfigError
from llama_orch_utils.targets.local import LocalWorker

MARK = b"--- a worker starts ---\n"
_CRASH = "Fatal Python error"  # faulthandler's first line
_TAIL_BYTES = 16 * 1024
_ROTATE_BYTES = 1024 * 1024


def last_words(worker: LocalWorker | Path | str | None, lines: int = 12) -> str:
    """The last `lines` lines that the worker wrote since its latest start; empty if there are none.

    Where it crashed, the lines from the crash report's head on: the head says what happened, its end does not.
    """
    path = worker.log if isinstance(worker, LocalWorker) else worker
    if path is None:
        return ""
    try:
        with Path(path).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            tail = file.read()
    except OSError:
        return ""
    said = tail.rpartition(MARK)[2].decode("utf-8", "replace").splitlines()
    crash = next((place for place, line in enumerate(said) if line.startswith(_CRASH)), None)
    return "\n".join(said[-lines:] if crash is None else said[crash : crash + lines])


def open_log(path: Path) -> int:
    """A descriptor that appends to the log (0600), with the mark of a new start in it; an old log becomes `….1`.

    Raises ConfigError when it cannot be written.
    """
    ensure_private(path.parent)
    try:
        if path.exists() and path.stat().st_size > _ROTATE_BYTES:
            path.replace(path.with_suffix(".log.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.write(descriptor, MARK)
    except OSError as error:
        raise ConfigError(
            f"cannot write the log {path}: {error.strerror}",
            file=str(path),
            hint=f"check the free space and the permissions of {path.parent}",
        ) from error
    return descriptor
