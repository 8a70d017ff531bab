# SPDX-License-Identifier: GPL-3.0-or-later
"""The start of a file that somebody else put where it is: never a pipe or a device, which could keep us for ever."""

from __future__ import annotations

import os
import stat
from errno import EINVAL
from pathlib import Path


def start_of(path: Path, most: int) -> bytes:
    """At most `most` bytes. Raises OSError, also for what is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - it is open already
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(EINVAL, "it is no regular file", str(path))
        return file.read(most)
