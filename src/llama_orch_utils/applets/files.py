# SPDX-License-Identifier: Apache-2.0
"""The files of one run: those below the folders that were given to it, and no others, not through a link either."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from llama_orch_utils.errors import AppletError

MOST_BYTES = 64 * 1024 * 1024


class Files:
    """`reads` and `writes` are files and folders; what lies in a folder belongs to it.

    Relative paths are of the first folder.
    """

    def __init__(self, reads: Sequence[Path] = (), writes: Sequence[Path] = ()) -> None:
        self._reads = tuple(Path(os.path.realpath(each)) for each in (*reads, *writes))
        self._writes = tuple(Path(os.path.realpath(each)) for each in writes)

    @property
    def reads(self) -> tuple[Path, ...]:
        """What may be read."""
        return self._reads

    @property
    def writes(self) -> tuple[Path, ...]:
        """What may be written."""
        return self._writes

    def read(self, path: str | Path, most: int = MOST_BYTES) -> bytes:
        """The bytes of a file. Raises AppletError for one outside, a missing one, and one above `most` bytes."""
        place = self.place(path)
        try:
            with place.open("rb") as file:
                data = file.read(most + 1)
        except OSError as error:
            raise AppletError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
        if len(data) > most:
            raise AppletError(f"{path} is larger than {most // 2**20} MiB", hint="split it into parts")
        return data

    def text(self, path: str | Path, most: int = MOST_BYTES) -> str:
        """A file as text: UTF-8 (with or without its mark), else UTF-16 by its mark. Raises AppletError for others."""
        data = self.read(path, most)
        try:
            encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise AppletError(
                f"{path} is not UTF-8 (line {line})", hint="save it as UTF-8, or convert it: iconv -t UTF-8"
            ) from error

    def documents(self, folder: str | Path = ".") -> Iterator[Path]:
        """The files below a folder in the order of their names, without hidden ones and links that lead out."""
        root = self.place(folder)
        if root.is_file():
            yield root
            return
        for place in sorted(root.rglob("*")):
            hidden = any(part.startswith(".") for part in place.relative_to(root).parts)
            if not hidden and place.is_file() and self._within(Path(os.path.realpath(place)), self._reads):
                yield place

    def write(self, path: str | Path, data: bytes | str) -> Path:
        """Writes a file whole or not at all; where it lies. Raises AppletError for one outside."""
        place = self.place(path, write=True)
        body = data.encode() if isinstance(data, str) else data
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=place.parent, prefix=".orch-")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                Path(partial).replace(place)
            except BaseException:
                Path(partial).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise AppletError(f"cannot write {path}: {error.strerror}", hint="check the folder") from error
        return place

    def place(self, path: str | Path, *, write: bool = False) -> Path:
        """Where a path leads, links followed. Raises AppletError where that is outside."""
        roots = self._writes if write else self._reads
        folders = [root for root in roots if not root.is_file()]
        base = folders[0] if folders else Path.cwd()
        place = Path(os.path.realpath(base / path))
        if not self._within(place, roots):
            kind = "write" if write else "read"
            raise AppletError(
                f"the applet may not {kind} {path}: it is outside the folders that it was given", hint="give its folder"
            )
        return place

    @staticmethod
    def _within(place: Path, roots: Sequence[Path]) -> bool:
        return any(place == root or place.is_relative_to(root) for root in roots)
