# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a worker's files are, and which worker that is."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llama_orch.models.stored_model import StoredModel
from llama_orch_utils.config import paths
from llama_orch_utils.errors import EngineFailed
from llama_orch_utils.targets.local import WorkerSettings


@dataclass(frozen=True, slots=True)
class Place:
    """The files of the worker with `key`."""

    folder: Path
    key: str

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.folder / f"{self.key}.sock"

    @property
    def record(self) -> Path:
        """What it says about itself."""
        return self.folder / f"{self.key}.json"

    @property
    def lock(self) -> Path:
        """Held while it is started and while it lives."""
        return self.folder / f"{self.key}.lock"

    @property
    def log(self) -> Path:
        """Its stderr."""
        return paths.state_dir() / "logs" / f"worker-{self.key}.log"

    def siblings(self) -> Iterator[Place]:
        """Workers of the same model file with other settings."""
        model = self.key.partition("-")[0]
        for record in sorted(self.folder.glob(f"{model}-*.json")):
            if record.stem != self.key:
                yield Place(self.folder, record.stem)

    def sweep(self) -> None:
        """Removes what a dead worker left. Only whoever holds the lock may."""
        for path in (self.socket, self.record, self.record.with_suffix(".json.partial")):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def folder() -> Path:
    """Where all workers' files are. Not created here."""
    return paths.runtime_dir() / "workers"


def everywhere() -> list[Place]:
    """Every place that has a file."""
    where = folder()
    return [Place(where, key) for key in sorted({path.name.partition(".")[0] for path in where.glob("*.*")})]


def place_of(model: StoredModel, settings: WorkerSettings) -> Place:
    """The place for a model and the settings that are part of a worker: all but `keep_alive`.

    The file counts as it is on the disk now: a replaced file is another model. Raises EngineFailed if it is not there.
    """
    try:
        found = model.path.stat()
    except OSError as error:
        raise EngineFailed(
            f"the model file {model.path} cannot be read: {error.strerror}",
            hint="orch models ls",
            code="model_missing",
        ) from error
    from llama_orch import __version__
    from llama_orch.pool import load_settings

    file = (os.path.realpath(model.path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    asked = load_settings.identity(load_settings.settled(settings, model))
    return Place(folder(), f"{_digest(model.id, *file, __version__)[:14]}-{_digest(*asked)[:8]}")


def private_place(model: StoredModel, number: int) -> Place:
    """The `number`th place of a fleet's worker for `model`, which no other command looks for.

    The same few names again and again, so that logs do not pile up; the lock tells which is free.
    """
    return Place(folder(), f"{_digest('fleet', model.id, os.path.realpath(model.path))[:14]}-{number:08d}")


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()
