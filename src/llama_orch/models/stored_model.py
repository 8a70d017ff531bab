# SPDX-License-Identifier: GPL-3.0-or-later
"""One model of the store, briefly."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from llama_orch.models.held_file import HeldFile

DEMO_ID = "orch-demo"
DEMO_PATH = Path(__file__).parent / "demo" / "orch-demo.gguf"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model by name.

    `path` is what llama.cpp opens: the GGUF, or the first part of a split one, beside which the others lie under the
    names that llama.cpp looks for. `parts` are all files of the weights in order, `projector` the one for pictures.
    `size` in bytes of all of them, `digest` the SHA-256 in hex of `path` (None: not computed), `linked_at` when it came
    into the store (ISO 8601, UTC), `source` where it came from, `owned` whether the store may delete some of `files`.
    """

    id: str
    path: Path
    size: int
    digest: str | None = None
    demo: bool = False
    linked_at: str | None = None
    parts: tuple[Path, ...] = ()
    projector: Path | None = None
    source: str | None = None
    licence: str | None = None
    owned: bool = False
    files: tuple[HeldFile, ...] = field(default=(), compare=False)  # a touched file is no other model

    def __post_init__(self) -> None:
        if not self.parts:
            object.__setattr__(self, "parts", (self.path,))

    @property
    def opens(self) -> str:
        """The path to hand to llama.cpp: symbolic links are followed, but for a split GGUF, whose names matter."""
        return os.path.realpath(self.path) if len(self.parts) == 1 else os.path.abspath(self.path)  # noqa: PTH100 - a string is wanted


def demo_model() -> StoredModel:
    """The model that ships inside the wheel."""
    return StoredModel(DEMO_ID, DEMO_PATH, DEMO_PATH.stat().st_size, demo=True)
