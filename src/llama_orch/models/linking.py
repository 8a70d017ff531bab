# SPDX-License-Identifier: GPL-3.0-or-later
"""The digests of files that are about to be linked; what the index knows of an untouched file is not read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from llama_orch.models.digest import Progress
from llama_orch.models.entry import Entry
from llama_orch.models.files import Sum, hashed
from llama_orch.models.held_file import HeldFile, Role


def held_files(
    parts: Sequence[Path], projector: Path | None, links: Mapping[str, Entry], progress: Progress | None
) -> tuple[HeldFile, ...]:
    """The files of a model, weights first. A file of the store's own stays its own. Raises EngineFailed as `hashed`."""
    known = {file.path: file for entry in links.values() for file in entry.files}
    wanted: list[tuple[Path, Role, int]] = [(path, "weights", number) for number, path in enumerate(parts, 1)]
    if projector is not None:
        wanted.append((projector, "projector", 1))
    told = Sum(progress, sum(path.stat().st_size for path, _, _ in wanted))
    return tuple(_held(known.get(path), path, role, part, told) for path, role, part in wanted)


def _held(known: HeldFile | None, path: Path, role: Role, part: int, told: Sum) -> HeldFile:
    if known is None or not (known.owned or known.modified is not None) or not known.same():
        return hashed(path, role, part, told)
    told(known.size, known.size)
    return replace(known, role=role, part=part)
