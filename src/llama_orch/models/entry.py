# SPDX-License-Identifier: GPL-3.0-or-later
"""What the index knows about one name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from llama_orch.models.held_file import HeldFile

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ROLES = ("weights", "projector")
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Entry:
    """A name's files (weights first, in order), when they came (ISO 8601, UTC), from where, under which licence."""

    files: tuple[HeldFile, ...]
    linked_at: str
    source: str | None = None
    licence: str | None = None

    @property
    def weights(self) -> tuple[HeldFile, ...]:
        """The GGUF, or all parts of a split one in order."""
        return tuple(file for file in self.files if file.role == "weights")

    @property
    def projector(self) -> HeldFile | None:
        """The file that turns pictures into embeddings, if there is one."""
        return next((file for file in self.files if file.role == "projector"), None)

    @property
    def digests(self) -> frozenset[str]:
        """Of all files."""
        return frozenset(file.digest for file in self.files)

    def touched(self, times: Mapping[tuple[Path, str], int]) -> Entry:
        """The entry with the mtimes of the files that were read again and are as they were."""
        files = tuple(replace(file, modified=times.get((file.path, file.digest), file.modified)) for file in self.files)
        return replace(self, files=files)


def is_digest(text: str) -> bool:
    """Whether `text` is a SHA-256 in hex."""
    return _DIGEST.fullmatch(text) is not None


def blob_path(folder: Path, digest: str) -> Path:
    """Where the store keeps the file with that digest, if it owns it. Raises ValueError for what is no SHA-256."""
    if not is_digest(digest):
        raise ValueError(f"{digest!r} is not a SHA-256")
    return folder / "blobs" / f"sha256-{digest}.gguf"


def entry_of_version_1(document: Mapping[str, Any]) -> Entry:
    """An entry of the first index: one linked file. Raises TypeError or KeyError for anything else."""
    if set(document) != {"path", "size", "digest", "linked_at"}:
        raise TypeError(f"the keys of an entry are {', '.join(sorted(document))}")
    path, linked_at = Path(_text(document["path"])), _text(document["linked_at"])
    file = HeldFile(path, _count(document["size"]), _text(document["digest"]), modified=_untouched(path, linked_at))
    return Entry((file,), linked_at)


def entry_of(document: Mapping[str, Any], folder: Path) -> Entry:
    """An entry of the index in `folder`. Raises TypeError, ValueError or KeyError for what is none."""
    files = tuple(_file_of(each, folder) for each in cast("list[Mapping[str, Any]]", document["files"]))
    if not any(file.role == "weights" for file in files):
        raise ValueError("an entry without weights")
    source, licence = document.get("source"), document.get("licence")
    return Entry(
        files,
        _text(document["linked_at"]),
        None if source is None else _text(source),
        None if licence is None else _text(licence),
    )


def document_of(entry: Entry) -> dict[str, Any]:
    """What `entry_of` reads. The path of an owned file follows from its digest: the store can be moved."""
    files = [_document_of_file(file) for file in entry.files]
    return {"files": files, "linked_at": entry.linked_at, "source": entry.source, "licence": entry.licence}


def _document_of_file(file: HeldFile) -> dict[str, Any]:
    found: dict[str, Any] = {"role": file.role, "part": file.part, "size": file.size, "digest": file.digest}
    return found | ({"owned": True} if file.owned else {"path": str(file.path), "modified": file.modified})


def _file_of(document: Mapping[str, Any], folder: Path) -> HeldFile:
    role, digest, owned = document["role"], _text(document["digest"]), document.get("owned", False)
    if role not in _ROLES or not is_digest(digest) or not isinstance(owned, bool):
        raise ValueError(f"a file with role {role!r} and digest {digest!r}")
    path = blob_path(folder, digest) if owned else Path(_text(document["path"]))
    modified = document.get("modified")
    if modified is not None and type(modified) is not int:
        raise TypeError(f"{modified!r} where a time belongs")
    size, part = _count(document["size"]), _count(document["part"])
    return HeldFile(path, size, digest, role, part, owned, modified)


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError(f"{value!r} where a text belongs")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"{value!r} where a number belongs")
    return value


def _untouched(path: Path, linked_at: str) -> int | None:
    """The first index kept no mtime: one from before the linking is the one that the file was hashed with."""
    from calendar import timegm
    from time import strptime

    try:
        found = path.stat().st_mtime_ns
        return found if found // 10**9 < timegm(strptime(linked_at, _MOMENT)) else -1
    except (OSError, ValueError):
        return None
