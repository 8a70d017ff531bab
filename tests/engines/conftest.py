# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the managed engines share: packages without a network, and the command that builds from them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wheelhouse
from engine_home import Orch, offline


@pytest.fixture(scope="session")
def packages(shared_folder: Path) -> Path:
    """A folder for --find-links with all that an engine's environment holds. Read-only."""
    folder = shared_folder / "packages"
    with (shared_folder / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            wheelhouse.write(partial)
            partial.rename(folder)
    return folder


@pytest.fixture(scope="session")
def ready(shared_folder: Path) -> Path:
    """A folder with the prebuilt engine's wheel, made from the installed one."""
    folder = shared_folder / "ready"
    with (shared_folder / "ready.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            wheelhouse.write_prebuilt(folder.with_suffix(".partial")).rename(folder)
    return folder


@pytest.fixture(autouse=True)
def _installers(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own may reach pip or uv; uv is the one that runs the tests."""
    for name in [*os.environ]:
        if name.startswith(("UV_", "PIP_", "STAND_IN", "CMAKE", "CFLAGS", "CXXFLAGS", "CUDA")) or name in {"CC", "CXX"}:
            monkeypatch.delenv(name)
    found = os.environ.get("UV") or shutil.which("uv")
    assert found, "the test command runs with uv"
    monkeypatch.setenv("UV", str(Path(found)))


@pytest.fixture
def build(run_orch: Orch, packages: Path) -> Orch:
    """`orch engine build` from the packages, unmeasured."""

    def run(*words: str, **settings: Any) -> object:
        return run_orch("engine", "build", *offline(packages), "--no-speed", *words, **settings)

    return run  # type: ignore[return-value]


@pytest.fixture
def engines(orch_home: Path) -> Path:
    """Where the builds of this test's home lie."""
    return orch_home / "data" / "engines"


@pytest.fixture
def listed(run_orch: Orch) -> Callable[[], dict[str, dict[str, Any]]]:
    """What `orch engine ls --json` says, by name."""

    def ask() -> dict[str, dict[str, Any]]:
        done = run_orch("engine", "ls", "--json")
        assert done.returncode == 0, done.stderr
        return {row["name"]: row for row in json.loads(done.stdout)}

    return ask
