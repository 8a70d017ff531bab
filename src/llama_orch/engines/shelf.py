# SPDX-License-Identifier: GPL-3.0-or-later
"""The builds that are there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from llama_orch.engines import locks, record
from llama_orch.engines.names import INSTALLED
from llama_orch.engines.place import Place, root
from llama_orch.engines.record import EngineRecord
from llama_orch_utils.errors import ConfigError


def names() -> list[str]:
    """The names of all whole builds, sorted."""
    return [each.name for each in records()]


def records() -> list[EngineRecord]:
    """All whole builds, by name; what was interrupted, or is no build of ours, is not among them."""
    try:
        folders = sorted(each.name for each in root().iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError:
        return []
    return [found for name in folders if (found := _read(name)) is not None]


def find(name: str) -> EngineRecord:
    """The build `name`. Raises ConfigError with the nearest name, or the command that builds one."""
    found = _read(name)
    if found is None:
        raise missing(name)
    return found


def missing(name: str) -> ConfigError:
    """The error for a build that is not there."""
    import difflib

    near = difflib.get_close_matches(name, [*names(), INSTALLED], n=1)
    meant = f"; did you mean '{near[0]}'?" if near else ""
    hint = f"orch engine use {near[0]}" if near else "orch engine ls"
    return ConfigError(f"there is no engine '{name[:80]}'{meant}", key="engine", hint=hint)


def remove(name: str) -> EngineRecord:
    """Takes a build away, whole. Raises ConfigError: there is none, it is being built, a worker runs on it."""
    place, found = Place(name), find(name)
    held = locks.acquire(place.lock)
    if held is None:
        raise ConfigError(f"{name} is being built by another command", key="engine", hint="orch engine ls")
    try:
        busy = [build for build in _builds(place) if locks.is_held(place.in_use(build))]
        if busy:
            raise ConfigError(f"a worker runs on {name}", key="engine", hint="orch stop --all")
        place.record.unlink(missing_ok=True)  # first: what is left of it then is no engine
        shutil.rmtree(place.folder, ignore_errors=True)
        place.log.unlink(missing_ok=True)
    finally:
        os.close(held)
    return found


def sweep(place: Place) -> None:
    """Removes builds that were interrupted or replaced and that no worker runs on. Only who holds the lock may."""
    whole = _read(place.name)
    for build in _builds(place):
        if (whole is None or build != whole.build) and not locks.is_held(place.in_use(build)):
            shutil.rmtree(place.folder / build, ignore_errors=True)


def size(found: EngineRecord) -> int:
    """Bytes of a build's files on the disk."""
    folder = Place(found.name).folder / found.build
    return sum(_bytes(Path(base) / name) for base, _, files in os.walk(folder) for name in files)


def _bytes(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _builds(place: Place) -> list[str]:
    try:
        return sorted(each.name for each in place.folder.iterdir() if each.is_dir())
    except OSError:
        return []


def _read(name: str) -> EngineRecord | None:
    try:
        place = Place(name)
        found = record.read(place.record.read_bytes())
    except (ConfigError, OSError, ValueError):  # no name of ours, nothing there, or nothing that we wrote
        return None
    whole = found.name == name and "/" not in found.build and place.environment(found.build).is_dir()
    return found if whole else None
