# SPDX-License-Identifier: GPL-3.0-or-later
"""What every room's tests share: a home of their own, small models, and the `orch` command as a process."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from processes import workers_of

import make_gguf

ROOT = Path(__file__).parent.parent
Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def pytest_configure() -> None:
    """A shell starts what it puts into the background with SIGINT ignored, and children inherit that: undo it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # No deadlines: how long an example takes is up to what else the machine does. CI: the same examples each time.
    hypothesis.settings.register_profile("house", deadline=None, derandomize=bool(os.environ.get("TEST_SEED")))
    hypothesis.settings.load_profile("house")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own may reach a test."""
    for name in [*os.environ]:
        if name.startswith("ORCH_") or name in {"NO_COLOR", "FORCE_COLOR", "OPENAI_API_KEY"}:
            monkeypatch.delenv(name)


@pytest.fixture
def orch_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh ORCH_HOME with a short path (socket paths end at 100 bytes); its workers are ended afterwards."""
    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    monkeypatch.setenv("ORCH_HOME", str(home))
    yield home
    _end_workers_of(home)
    shutil.rmtree(home, ignore_errors=True)


def _end_workers_of(home: Path) -> None:
    """Ends exactly the worker processes that name this home in their arguments."""
    deadline = time.monotonic() + 20
    while (pids := workers_of(home)) and time.monotonic() < deadline:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all xdist workers of a run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def tiny_gguf(shared_folder: Path) -> Path:
    """A Llama with random weights: vocabulary 512, context 4096, 1.6 MB, ChatML. Read-only."""
    path = shared_folder / "tiny.gguf"
    with (shared_folder / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = path.with_suffix(".partial")
            make_gguf.write_decoder(str(partial), "tiny", "f32", 0)
            partial.rename(path)
    return path


@pytest.fixture(scope="session")
def demo_gguf() -> Path:
    """The embedded demo model."""
    return ROOT / "src" / "llama_orch" / "models" / "demo" / "orch-demo.gguf"


@pytest.fixture
def run_orch(orch_home: Path) -> Orch:
    """Runs the real `orch` command in the test's own home and returns what it did."""

    def run(*args: str, input: bytes = b"", env: dict[str, str] | None = None, timeout: float = 120) -> object:  # noqa: A002
        command = [sys.executable, "-m", "llama_orch.cli", *args]
        return subprocess.run(
            command, input=input, env={**os.environ, **(env or {})}, capture_output=True, timeout=timeout, check=False
        )

    return run  # type: ignore[return-value]
