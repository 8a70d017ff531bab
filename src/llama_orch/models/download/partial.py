# SPDX-License-Identifier: GPL-3.0-or-later
"""An unfinished file: its bytes, what it is to become, and the lock of whoever works on it.

`KEY.part` are the bytes, each written once and in order; `KEY.json` says which version they are of; `KEY.lock` is
held (flock(2), released by the kernel whoever dies how) by the one process that writes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, cast

from llama_orch_utils.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Version:
    """Which version of a file the bytes are of; `digest` once it is known: then the file was finished."""

    name: str
    source: str
    size: int | None
    validator: str | None
    digest: str | None = None


class Partial:
    """The unfinished file `key` (hexadecimal digits) in `folder`."""

    def __init__(self, folder: Path, key: str) -> None:
        if not key or not set(key) <= set("0123456789abcdef"):
            raise ValueError(f"{key!r} is no key")  # it would become a path
        self.path = folder / f"{key}.part"
        self._about = folder / f"{key}.json"
        self._lock = folder / f"{key}.lock"
        self._held: int | None = None

    @property
    def size(self) -> int:
        """Bytes that are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def take(self) -> bool:
        """Take the lock without waiting; False while another process has it. ConfigError if it cannot be made."""
        while True:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise _unwritable(self.path.parent, error) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            if self._is_still(descriptor):
                self._held = descriptor
                return True
            os.close(descriptor)  # its last holder removed the file between our open and our lock

    def release(self) -> None:
        """Let go, and take the lock's file away while nobody else can have it."""
        if self._held is not None:
            with contextlib.suppress(OSError):
                self._lock.unlink()
            os.close(self._held)
            self._held = None

    def version(self) -> Version | None:
        """What the bytes are of; None where nobody wrote it down, or not whole."""
        try:
            document = json.loads(self._about.read_bytes())
            return Version(**document)
        except (OSError, ValueError, TypeError):
            return None  # as if there were none: the bytes are fetched again

    def describe(self, version: Version) -> None:
        """Write down what the bytes are of."""
        temporary = self._about.with_suffix(".json.new")
        temporary.write_text(json.dumps(asdict(version)))
        temporary.replace(self._about)

    def open(self) -> BinaryIO:
        """The bytes, to be read and to be written after the last. Unbuffered: what is written survives a kill."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return cast("BinaryIO", os.fdopen(descriptor, "r+b", buffering=0))

    def drop(self, *, about: bool = True) -> None:
        """Delete the bytes, and what is said about them."""
        self.path.unlink(missing_ok=True)
        if about:
            self._about.unlink(missing_ok=True)

    def _is_still(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._lock.stat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot write in {folder}: {error.strerror}",
        file=str(folder),
        hint="make it writable, or point ORCH_HOME to a directory that is",
    )
