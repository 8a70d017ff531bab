# SPDX-License-Identifier: GPL-3.0-or-later
"""The GGUF files below a folder, put together to models: parts of split ones, and projectors by their name."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llama_orch.models.found.reading import start_of
from llama_orch.models.split import part_of, stem_of

_DEEPEST = 6
_MOST = 50_000
Unreadable = Callable[[Path, OSError], None]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The weights of one model in order, the projector beside them, and what is wrong with it."""

    weights: tuple[Path, ...]
    projector: Path | None
    problem: str | None

    @property
    def size(self) -> int:
        """Bytes of all files; one that cannot be asked counts nothing."""
        return sum(_size(path) for path in (*self.weights, *([self.projector] if self.projector else [])))


def bundles(root: Path, unreadable: Unreadable) -> list[Bundle]:
    """The models below `root`, by path. Folders that cannot be read are told to `unreadable`."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in _ggufs(root, unreadable):
        by_folder[path.parent].append(path)
    return [bundle for _, paths in sorted(by_folder.items()) for bundle in _of_folder(sorted(paths))]


def _of_folder(paths: list[Path]) -> Iterator[Bundle]:
    projectors = [path for path in paths if "mmproj" in path.name.lower()]
    groups: dict[tuple[str, int], list[Path]] = defaultdict(list)
    for path in paths:
        if path not in projectors:
            groups[stem_of(path.name), part_of(path.name)[1]].append(path)
    for (_, parts), weights in groups.items():
        missing = parts - len(weights)
        problem = f"{missing} of its {parts} parts are missing" if missing else _problem(weights)
        yield Bundle(tuple(weights), _best(projectors), problem)


def _best(projectors: list[Path]) -> Path | None:
    """One projector for all: F16 is as good as F32 at half the size, and every backend has it."""
    for kind in ("f16", "bf16", "f32"):
        word = re.compile(rf"(?<![a-z0-9]){kind}(?![a-z0-9])")
        found = next((path for path in projectors if word.search(path.name.lower())), None)
        if found:
            return found
    return projectors[0] if projectors else None


def _problem(weights: list[Path]) -> str | None:
    for path in weights:
        try:
            if start_of(path, 4) != b"GGUF":
                return "it is not a GGUF file"
        except OSError as error:
            return f"it cannot be read: {error.strerror}"
    return None


def _ggufs(root: Path, unreadable: Unreadable) -> Iterator[Path]:
    """Files that end in .gguf; links to folders are followed, each folder once, not deeper than any program nests."""
    seen: set[str] = set()
    waiting, count = [(root, 0)], 0
    while waiting:
        folder, depth = waiting.pop()
        real = os.path.realpath(folder)
        if real in seen or depth > _DEEPEST:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            unreadable(folder, error)
            continue
        for entry in entries:
            count += 1
            if count > _MOST:
                return
            if _is_folder(entry):
                waiting.append((Path(entry.path), depth + 1))
            elif entry.name.lower().endswith(".gguf"):
                yield Path(entry.path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
