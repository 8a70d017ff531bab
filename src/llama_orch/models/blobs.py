# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the store owns: each once, under its digest; and the folders in which parts lie side by side.

`models/blobs/sha256-DIGEST.gguf` is an owned file, `models/sets/KEY/model-00001-of-00003.gguf` a link to a part of a
split one, `models/partial/` what `orch pull` has not finished (KEY.part, KEY.json; in work while KEY.lock is held).
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from llama_orch.models.entry import Entry, blob_path, is_digest
from llama_orch.models.held_file import HeldFile
from llama_orch.models.split import lie_together, split_name
from llama_orch_utils.errors import BadRequest, EngineFailed

_PREFIX, _SUFFIX = "sha256-", ".gguf"
COPYING = ".copying-"


class Blobs:
    """The owned files in `folder`. Whoever changes them holds the lock of the index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the file with that digest is, if it is owned. Raises ValueError for what is no SHA-256."""
        return blob_path(self.folder, digest)

    def digests(self) -> list[str]:
        """Of all owned files."""
        names = (path.name for path in self._listed("blobs"))
        found = (name.removeprefix(_PREFIX).removesuffix(_SUFFIX) for name in names if name.startswith(_PREFIX))
        return sorted(digest for digest in found if is_digest(digest))

    def held(self, file: HeldFile) -> HeldFile:
        """`file` as the store has it from now on: an owned one is moved in, or deleted where it is here already.

        Raises EngineFailed where it is not there with its size, OSError as the file system does.
        """
        blob = self.path(file.digest)
        if blob.is_file() and blob.stat().st_size == file.size:
            if file.owned and not _same_file(file.path, blob):
                file.path.unlink(missing_ok=True)
            return replace(file, path=blob, owned=True, modified=None)
        self._check(file)
        if not file.owned:
            return replace(file, path=_absolute(file.path), modified=file.path.stat().st_mtime_ns)
        self._move(file.path, blob)
        return replace(file, path=blob, modified=None)

    def first(self, parts: Sequence[HeldFile]) -> Path:
        """What llama.cpp opens: the only file, the first part, or the first of a set that `arrange` makes."""
        paths = [part.path for part in parts]
        if lie_together(paths):
            return paths[0]
        return self.folder / "sets" / self.set_key(parts) / split_name("model", 1, len(parts))

    def arrange(self, parts: Sequence[HeldFile]) -> Path:
        """Makes the set of `first` if it needs one and there is none."""
        first = self.first(parts)
        if first.parent.parent != self.folder / "sets" or first.parent.is_dir():
            return first
        import shutil
        import tempfile

        first.parent.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=first.parent.parent, prefix=COPYING))
        for number, part in enumerate(parts, 1):
            target = os.path.join("..", "..", "blobs", part.path.name) if part.owned else part.path  # noqa: PTH118 - a link's text
            (partial / split_name("model", number, len(parts))).symlink_to(target)
        with suppress(OSError):  # somebody else made the same
            partial.rename(first.parent)
        if partial.is_dir():
            shutil.rmtree(partial)
        return first

    def drop(self, gone: Entry, links: Mapping[str, Entry]) -> tuple[HeldFile, ...]:
        """Deletes what only `gone` used, and only what is owned; what was deleted."""
        import shutil

        used = {file.digest for entry in links.values() for file in entry.files if file.owned}
        unused = tuple(file for file in gone.files if file.owned and file.digest not in used)
        for file in unused:
            file.path.unlink(missing_ok=True)
        if self.set_key(gone.weights) not in {self.set_key(entry.weights) for entry in links.values()}:
            shutil.rmtree(self.folder / "sets" / self.set_key(gone.weights), ignore_errors=True)
        return unused

    @staticmethod
    def set_key(parts: Iterable[HeldFile]) -> str:
        """The name of the set of these parts."""
        told = [(part.digest, None if part.owned else str(part.path)) for part in parts]
        return hashlib.sha256(repr(told).encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def _listed(self, name: str) -> list[Path]:
        with suppress(FileNotFoundError):
            return sorted((self.folder / name).iterdir())
        return []

    def _check(self, file: HeldFile) -> None:
        try:
            found = file.path.lstat() if file.owned else file.path.stat()
        except OSError as error:
            raise EngineFailed(
                f"cannot take {file.path} into the store: {error.strerror}", hint="run it again", code="model_missing"
            ) from error
        if file.owned and file.path.is_symlink():
            raise BadRequest(f"{file.path} is a symbolic link: the store cannot own it", hint="link the file itself")
        if found.st_size != file.size:
            raise EngineFailed(
                f"{file.path} has {found.st_size} bytes where {file.size} belong",
                hint="run it again",
                code="model_changed",
            )

    def _move(self, source: Path, blob: Path) -> None:
        """One rename; from another file system a copy first. A file under a digest's name is always whole."""
        blob.parent.mkdir(parents=True, exist_ok=True)
        _flush(source)
        try:
            source.rename(blob)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            self._copy(source, blob)
        _flush(blob.parent)

    def _copy(self, source: Path, blob: Path) -> None:
        import shutil
        import tempfile

        handle, name = tempfile.mkstemp(dir=blob.parent, prefix=COPYING)
        os.close(handle)
        try:
            shutil.copyfile(source, name)
            _flush(Path(name))
            Path(name).rename(blob)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        source.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - Path.absolute keeps `..`, and resolve would follow links


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
