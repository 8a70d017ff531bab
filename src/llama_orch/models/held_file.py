# SPDX-License-Identifier: GPL-3.0-or-later
"""One file of a model: where it is, what it must be, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["weights", "projector"]


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A GGUF file that a model is made of.

    `size` in bytes, `digest` its SHA-256 in hex, `part` its place among the files of its role (from 1), `owned` whether
    the store may delete it (else it is somebody else's and is only used where it lies). `modified` is its mtime in
    nanoseconds when the digest was made; None: not known.
    """

    path: Path
    size: int
    digest: str
    role: Role = "weights"
    part: int = 1
    owned: bool = False
    modified: int | None = None

    def same(self) -> bool:
        """Whether the file is still there with the size and, where it is known, the time that it was hashed with."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return found.st_size == self.size and self.modified in (None, found.st_mtime_ns)
