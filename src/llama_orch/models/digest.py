# SPDX-License-Identifier: GPL-3.0-or-later
"""SHA-256 of large files, with progress."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""

_CHUNK = 1 << 22


def sha256_of(path: Path, progress: Progress | None = None) -> str:
    """The file's SHA-256 in hex. Reads it once, 4 MiB at a time."""
    total, done, digest = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            if progress:
                progress(done, total)
    return digest.hexdigest()
