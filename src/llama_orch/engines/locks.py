# SPDX-License-Identifier: GPL-3.0-or-later
"""flock(2): who builds, and who runs on what; released by the kernel whoever dies how."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import ConfigError


def acquire(path: Path) -> int | None:
    """A descriptor that holds the exclusive lock, or None while somebody else does. Does not wait.

    Raises ConfigError where the file cannot be made.
    """
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)  # `rm` took the folder away between our open and our lock


@contextlib.contextmanager
def shared(path: Path) -> Generator[int | None]:
    """A descriptor that holds the lock together with others; None where the file cannot be made any more.

    Whoever inherits the descriptor holds the lock as well.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # a build that was just removed: the worker will say so itself
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether anybody holds the lock, shared or not. Creates nothing."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(path: Path) -> int:
    while True:
        ensure_private(path.parent)
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:  # removed between the two lines
            continue
        except OSError as error:
            raise ConfigError(
                f"cannot write {path}: {error.strerror}",
                file=str(path),
                hint="make the directory writable, or point ORCH_HOME to one that is",
            ) from error


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
