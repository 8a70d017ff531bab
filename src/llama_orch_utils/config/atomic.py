# SPDX-License-Identifier: Apache-2.0
"""A file that is either wholly the old one or wholly the new one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import ConfigError


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by `content` with one rename, after it is on the disk. Follows a symbolic link.

    Raises ConfigError in words (disk full, no permission); the old file is then untouched.
    """
    import tempfile

    real = path.resolve()
    ensure_private_parent(real)
    try:
        number, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(real)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


@contextlib.contextmanager
def locked(path: Path) -> Generator[None]:
    """Hold the lock that belongs to `path`, so that two read-change-writes do not lose one another's change."""
    import fcntl

    ensure_private_parent(path)
    lock = path.with_name(f".{path.name}.lock")
    try:
        number = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _cannot_write(path, error) from error
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def ensure_private_parent(path: Path) -> None:
    """Make the directory of `path` if it is not there."""
    if not path.parent.is_dir():
        ensure_private(path.parent)


def _cannot_write(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot write {path}: {error.strerror or error}",
        file=str(path),
        hint=f"check the free space and the permissions of {path.parent}",
    )
