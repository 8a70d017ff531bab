# SPDX-License-Identifier: GPL-3.0-or-later
"""Real worker processes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tool_model import tool_model
from worker_process import Worker, start


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def worker(home: Path, tiny_gguf: Path) -> Iterator[Worker]:
    """One worker for all tests of a module: 4 slots of 2048 tokens."""
    running = start(home, tiny_gguf, "--context", "2048", "--slots", "4")
    assert running.read_said()[-1]["event"] == "ready", running.log
    yield running
    running.end()


@pytest.fixture
def start_worker(home: Path, tiny_gguf: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers of one's own: `start_worker(*options, ready=True)`."""
    running: list[Worker] = []

    def begin(*options: str, ready: bool = True, model: Path = tiny_gguf, **more: Any) -> Worker:
        running.append(start(home, model, *options, **more))
        if ready:
            assert running[-1].read_said()[-1]["event"] == "ready", running[-1].log
        return running[-1]

    yield begin
    for one in running:
        one.end()


@pytest.fixture(scope="module")
def tool_worker(home: Path, shared_folder: Path) -> Iterator[Worker]:
    """A worker whose chat template knows tools and thoughts: 4 slots of 4096 tokens."""
    running = start(home, tool_model(shared_folder), "--context", "4096", "--slots", "4")
    assert running.read_said()[-1]["event"] == "ready", running.log
    yield running
    running.end()
