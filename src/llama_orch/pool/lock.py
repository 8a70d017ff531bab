# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock that says whether a worker lives: flock(2), released by the kernel whoever dies how."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from llama_orch_utils.errors import ConfigError


class WorkerLock:
    """A held lock. Its file descriptor can be handed to a child process, which then holds it as well."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self.descriptor = descriptor

    def release(self, *, remove: bool = False) -> None:
        """Lets go of this process's hold; `remove` takes the file away, where nobody else holds it either."""
        if remove:
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()
        os.close(self.descriptor)


def acquire(path: Path) -> WorkerLock | None:
    """The lock, or None while somebody else holds it. Does not wait.

    Raises ConfigError when the file cannot be made: no permission, read-only, disk full.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot write {path}: {error.strerror}",
                file=str(path),
                hint="make the directory writable, or point ORCH_HOME to one that is",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_still(path, descriptor):
            return WorkerLock(path, descriptor)
        os.close(descriptor)  # its last holder removed the file between our open and our lock


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        on_disk = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(on_disk, os.fstat(descriptor))
