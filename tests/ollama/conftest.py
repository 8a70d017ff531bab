# SPDX-License-Identifier: GPL-3.0-or-later
"""A real worker process, and the ollama package in front of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest
from tool_model import tool_model
from worker_process import Worker, start


@pytest.fixture(scope="module")
def worker(shared_folder: Path) -> Iterator[Worker]:
    """Four slots of 2048 tokens, on loopback TCP."""
    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    running = start(home, tool_model(shared_folder), "--context", "2048", "--slots", "4", tcp=True)
    assert running.read_said()[-1]["event"] == "ready", running.log
    yield running
    running.end()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def client(worker: Worker) -> Iterator[ollama.Client]:
    with ollama.Client(host=worker.url) as opened:
        yield opened
