# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a build's files are.

| file | what |
|---|---|
| data/engines/NAME/engine.json | what it is; written last, by one rename: without it there is no engine |
| data/engines/NAME/lock | held by whoever builds or removes it |
| data/engines/NAME/BUILD/env | its environment |
| data/engines/NAME/BUILD/in-use | held (shared) by the workers that run on it |
| state/logs/engine-NAME.log | what the compiler said |
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llama_orch.engines.names import checked
from llama_orch_utils.config import paths


def root() -> Path:
    """The folder of all builds."""
    return paths.data_dir() / "engines"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of the build `name`."""

    name: str

    def __post_init__(self) -> None:
        checked(self.name)

    @property
    def folder(self) -> Path:
        """Everything of it but the log."""
        return root() / self.name

    @property
    def record(self) -> Path:
        """What it is."""
        return self.folder / "engine.json"

    @property
    def lock(self) -> Path:
        """Held while it is built or removed."""
        return self.folder / "lock"

    @property
    def log(self) -> Path:
        """What was said while it was built."""
        return paths.state_dir() / "logs" / f"engine-{self.name}.log"

    def environment(self, build: str) -> Path:
        """The environment of one build."""
        return self.folder / build / "env"

    def python(self, build: str) -> Path:
        """The interpreter of one build."""
        return self.environment(build) / "bin" / "python"

    def in_use(self, build: str) -> Path:
        """Held by its workers."""
        return self.folder / build / "in-use"
