# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of installed applets share: packages without a network, and the command that installs from them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import applet_house
import pytest

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(scope="session")
def applet_packages(shared_folder: Path) -> Path:
    """A folder for --find-links with the SDK, what it needs, and hatchling. Read-only."""
    folder = shared_folder / "applet-packages"
    with (shared_folder / "applet-packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            applet_house.write_packages(folder.with_suffix(".partial")).rename(folder)
    return folder


@pytest.fixture(autouse=True)
def _installers(monkeypatch: pytest.MonkeyPatch, shared_folder: Path) -> None:
    """No setting of the developer's own may reach pip or uv; uv is the one that runs the tests."""
    found = os.environ.get("UV") or shutil.which("uv")
    for name in [*os.environ]:
        if name.startswith(("UV_", "PIP_")):
            monkeypatch.delenv(name)
    assert found, "the test command runs with uv"
    monkeypatch.setenv("UV", str(Path(found)))
    monkeypatch.setenv("UV_CACHE_DIR", str(shared_folder / "applet-uv-cache"))


@pytest.fixture
def install(run_orch: Orch, applet_packages: Path) -> Orch:
    """`orch applet install` from the packages, without a question."""

    def run(*words: object, **settings: object) -> object:
        given = ["--find-links", str(applet_packages), "--offline", "--yes"]
        return run_orch("applet", "install", *given, *map(str, words), **settings)

    return run  # type: ignore[return-value]


@pytest.fixture
def tap() -> Iterator[object]:
    from llama_orch_utils.testing import FakeTap

    with FakeTap(key="key-of-the-tap") as found:
        yield found


@pytest.fixture(scope="session")
def probe_home(shared_folder: Path, applet_packages: Path) -> Path:
    """An ORCH_HOME with the applet `probe`, which tries whatever it is told. Nobody changes what is installed there."""
    home = shared_folder / "probe-home"
    with (shared_folder / "probe-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            body = (Path(__file__).parent / "probe_body.txt").read_text()
            more = '[permissions]\nfiles = {read = ["inputs"], write = ["outputs"]}\nnetwork = ["target"]\n'
            wheel = applet_house.write_wheel(home / "wheels", "probe", body=body, more=more)
            environment = {**os.environ, "ORCH_HOME": str(home), "UV_CACHE_DIR": str(shared_folder / "applet-uv-cache")}
            words = ["applet", "install", "--yes", "--offline", "--find-links", str(applet_packages), str(wheel)]
            done = subprocess.run(
                [sys.executable, "-m", "llama_orch.cli", *words], env=environment, capture_output=True, check=False
            )
            assert done.returncode == 0, done.stderr.decode()
            (home / "ready").touch()
    return home
