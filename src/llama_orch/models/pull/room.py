# SPDX-License-Identifier: GPL-3.0-or-later
"""Room on the disk, before and while it is filled."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from llama_orch_utils.errors import OrchError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def free_bytes(folder: Path) -> int:
    """What is free where `folder` is, or will be."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_room(folder: Path, needed: int) -> None:
    """Raises OrchError (code `disk_full`) with both numbers where `needed` bytes are not free."""
    free = free_bytes(folder)
    if needed > free:
        raise _full(folder, f"{_gigabytes(needed)} have to be written and {_gigabytes(free)} are free")


@contextmanager
def written_to(folder: Path) -> Generator[None]:
    """Says in words that the disk is full, or what else keeps the block from writing to it."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise _full(folder, "what was fetched stays for the next time") from error
        raise


def _full(folder: Path, words: str) -> OrchError:
    return OrchError(
        f"the disk of {folder} is full: {words}",
        code="disk_full",
        status=507,
        hint="make room and run it again (orch models prune), or point ORCH_HOME to another disk",
    )


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"  # noqa: PLR2004 - a tenth of a GB
