# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads files again and compares their SHA-256 with the recorded one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llama_orch.models.digest import Progress, sha256_of
from llama_orch.models.entry import Entry
from llama_orch.models.files import Sum
from llama_orch.models.held_file import HeldFile
from llama_orch.models.standing import again, link_again

State = Literal["ok", "changed", "missing", "unreadable"]


@dataclass(frozen=True, slots=True)
class Verified:
    """What became of one file of a model: `found` is its SHA-256 in hex now, `mend` the command that mends it."""

    id: str
    file: HeldFile
    state: State
    found: str | None = None
    why: str | None = None
    mend: str | None = None
    modified: int | None = None


def verify(entries: Mapping[str, Entry], progress: Progress | None = None) -> list[Verified]:
    """Every file of the entries; one that several names share is read once."""
    files = {file.path: file for entry in entries.values() for file in entry.files}
    told = Sum(progress, sum(_size(path) for path in files))
    seen: dict[Path, tuple[State, str | None, str | None, int | None]] = {}
    found: list[Verified] = []
    for name, entry in entries.items():
        for file in entry.files:
            if file.path not in seen:
                seen[file.path] = _read(file.path, told)
            state, digest, why, modified = seen[file.path]
            if state == "ok" and digest != file.digest:
                state, why = "changed", "its content is not what it was"
            mend = None if state == "ok" else again(name, file, entry) or _linked(state, name, entry)
            found.append(Verified(name, file, state, digest, why, mend, modified))
    return found


def touched(verified: Sequence[Verified]) -> dict[tuple[Path, str], int]:
    """The mtimes of files that are as they were and were only touched: (path, digest) to nanoseconds."""
    return {
        (each.file.path, each.file.digest): each.modified
        for each in verified
        if each.state == "ok" and each.modified is not None and not each.file.owned
    }


def _read(path: Path, told: Sum) -> tuple[State, str | None, str | None, int | None]:
    try:
        modified = path.stat().st_mtime_ns
        return "ok", sha256_of(path, told), None, modified
    except FileNotFoundError:
        return "missing", None, "it is gone", None
    except OSError as error:
        return "unreadable", None, error.strerror or str(error), None


def _linked(state: State, name: str, entry: Entry) -> str:
    if state == "changed":
        return f"link it again: orch models rm {name} && {link_again(name, entry)}"
    return f"put it back, or forget the name: orch models rm {name}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
