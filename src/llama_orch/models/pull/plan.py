# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pull is going to do: which files, from where, and which of them are here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llama_orch.models.download.remote_file import RemoteFile

State = Literal["fetch", "copy", "held", "cached"]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of the model.

    `held`: the store has it, at `path`; `cached`: huggingface_hub's cache has it, at `path`; `copy`: it is a file of
    this machine, at `path`; `fetch`: it is at the server, and `begun` bytes of it are here.
    """

    file: RemoteFile
    state: State
    path: Path | None = None
    begun: int = 0

    @property
    def missing(self) -> int:
        """Bytes that have to be written; 0 where the size is not known."""
        return max((self.file.size or 0) - self.begun, 0) if self.state in {"fetch", "copy"} else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """`name` is what the model is called here, `source` the line that says where it is from (no query, no token)."""

    name: str
    source: str
    files: tuple[PlannedFile, ...]
    licence: str | None = None
    gated: bool = False
    repository: str | None = None
    commit: str | None = None
    quantisation: str | None = None
    context: int | None = None

    @property
    def size(self) -> int | None:
        """Bytes of all files; None where a server does not say."""
        sizes = [each.file.size for each in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def missing(self) -> int:
        """Bytes that have to be written."""
        return sum(each.missing for each in self.files)

    @property
    def digests(self) -> set[str | None]:
        """Of all files; with None where one is not known."""
        return {each.file.digest for each in self.files}
