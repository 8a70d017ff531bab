# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an installed applet's files are.

| file | what |
|---|---|
| data/applets/applets.lock | what is installed, with hashes; changed by one rename |
| data/applets/ID/BUILD/env | its environment |
| data/applets/ID/BUILD/wheels | the wheel that it came as, where it did not come from an index |
| data/applets/ID/BUILD/requirements.txt | every package of the environment, with its hashes |
| cache/applets | what its process may write besides its outputs; goes when it ends |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llama_orch_utils.config import paths


def root() -> Path:
    """The folder of all of them."""
    return paths.data_dir() / "applets"


def lock_file() -> Path:
    """What is installed."""
    return root() / "applets.lock"


def scratch() -> Path:
    """What their processes may write."""
    return paths.cache_dir() / "applets"


@dataclass(frozen=True, slots=True)
class Place:
    """One build of the applet `id`."""

    id: str
    build: str

    @property
    def folder(self) -> Path:
        """Everything of it."""
        return root() / self.id / self.build

    @property
    def environment(self) -> Path:
        """Its environment."""
        return self.folder / "env"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.environment / "bin" / "python"

    @property
    def wheels(self) -> Path:
        """The wheel that it came as."""
        return self.folder / "wheels"

    @property
    def requirements(self) -> Path:
        """Every package, pinned."""
        return self.folder / "requirements.txt"
