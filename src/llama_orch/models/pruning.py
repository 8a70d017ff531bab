# SPDX-License-Identifier: GPL-3.0-or-later
"""What is of no use in the store any more: unfinished downloads, files without a name, names without a file."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llama_orch.models.blobs import COPYING, Blobs
from llama_orch.models.entry import Entry
from llama_orch.models.links import PARTIAL

Kind = Literal["download", "file", "name", "leftover"]
_LOCK = ".lock"
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Pruned:
    """One thing that goes: an unfinished download, an owned file without a name, a name without a file, or a leftover.

    A leftover is what an interrupted command left. `id` is the model's name or the file's, `size` bytes on the disk.
    """

    kind: Kind
    id: str
    path: Path
    size: int


def dangling(links: Mapping[str, Entry]) -> list[Pruned]:
    """Names of which a file is gone. One that only cannot be looked at (permissions, a dead mount) counts as there."""
    gone: list[Pruned] = []
    for name, entry in links.items():
        missing = next((file.path for file in entry.files if not _there(file.path)), None)
        if missing is not None:
            gone.append(Pruned("name", name, missing, 0))
    return gone


def unused(blobs: Blobs, links: Mapping[str, Entry]) -> list[Pruned]:
    """Owned files and sets that no entry uses, and what interrupted commands left. Under the lock of the index."""
    used = {file.digest for entry in links.values() for file in entry.files if file.owned}
    found = [
        Pruned("file", digest, blobs.path(digest), _size(blobs.path(digest)))
        for digest in blobs.digests()
        if digest not in used
    ]
    sets = {blobs.set_key(entry.weights) for entry in links.values()}
    leftovers = [path for path in _listed(blobs.folder / "sets") if path.name not in sets and not _in_work(path)]
    leftovers += [path for path in _listed(blobs.folder / "blobs") if path.name.startswith(COPYING)]
    leftovers += [path for path in _listed(blobs.folder) if path.name.startswith(PARTIAL)]
    return [*found, *(Pruned("leftover", path.name, path, _size(path)) for path in leftovers)]


def downloads(folder: Path, *, delete: bool) -> Iterator[Pruned]:
    """Unfinished downloads whose lock nobody holds; each is deleted, under its lock, if `delete`."""
    groups: dict[str, list[Path]] = defaultdict(list)
    for path in _listed(folder):
        groups[path.name.partition(".")[0]].append(path)
    for key, paths in sorted(groups.items()):
        with _taken(folder / f"{key}{_LOCK}") as free:
            if not free:
                continue
            size = sum(_size(path) for path in paths)
            yield Pruned("download", key, next((each for each in paths if each.suffix == ".part"), paths[0]), size)
            if delete:
                for path in sorted(paths, key=lambda each: each.suffix == _LOCK):
                    remove(path)


def remove(path: Path) -> None:
    """Deletes a file, a link or a folder of ours. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class _taken:  # noqa: N801 - reads as the function that it stands for
    """The lock, if nobody holds it: makes no file where there is none."""

    def __init__(self, path: Path) -> None:
        self._path, self._descriptor = path, -1

    def __enter__(self) -> bool:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            return False
        return True

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)


def _listed(folder: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return sorted(folder.iterdir())
    return []


def _there(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno not in (errno.ENOENT, errno.ENOTDIR)
    return True


def _in_work(path: Path) -> bool:
    """Whether somebody may still be at it: `resolve` lays parts side by side without the lock."""
    try:
        return path.name.startswith(COPYING) and time.time() - path.lstat().st_mtime < _MINUTE
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return found.st_blocks * 512 if path.suffix == ".part" else found.st_size
