# SPDX-License-Identifier: GPL-3.0-or-later
"""One model that another program keeps, and what could not be read of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model of `app`, which calls it `label`.

    `id` is the name that it would get here (free, or the one that it has: then `linked` is that name), `weights` its
    GGUF or all parts of it, `size` in bytes of all files, `problem` why it cannot be linked.
    """

    id: str
    app: str
    label: str
    weights: tuple[Path, ...]
    projector: Path | None
    size: int
    problem: str | None = None
    linked: str | None = None

    @property
    def source(self) -> str:
        """What the store remembers as its origin: an address where there is one, else the program and its name."""
        return self.label if self.label.startswith("hf://") else f"{self.app} {self.label}"


@dataclass(slots=True)
class Gathered:
    """What is found, and which folders could not be read: (program, folder, why)."""

    models: list[FoundModel] = field(default_factory=list[FoundModel])
    unreadable: list[tuple[str, Path, str]] = field(default_factory=list[tuple[str, Path, str]])

    def cannot(self, app: str, folder: Path, error: OSError) -> None:
        """Remembers a folder that cannot be read."""
        self.unreadable.append((app, folder, error.strerror or str(error)))
