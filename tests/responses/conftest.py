# SPDX-License-Identifier: GPL-3.0-or-later
"""Real workers and gateways for the tests of the Responses API."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from responses_gateway import Gateway
from responses_gateway import start as start_gateway
from tool_model import tool_model
from worker_process import Worker
from worker_process import start as start_worker

KEY = "canary-key-4711"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def worker(home: Path, shared_folder: Path) -> Iterator[Worker]:
    reading, writing = os.pipe()
    os.write(writing, KEY.encode())
    os.close(writing)
    options = ("--context", "2048", "--slots", "2", "--key-fd", str(reading))
    running = start_worker(home, tool_model(shared_folder), *options, tcp=True, pass_fds=[reading])
    os.close(reading)
    assert running.read_said()[-1]["event"] == "ready", running.log
    yield running
    running.end()


@pytest.fixture
def client(worker: Worker) -> Iterator[openai.OpenAI]:
    """The openai package, straight at a worker."""
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key=KEY, max_retries=0) as opened:
        yield opened


@pytest.fixture(scope="module")
def gateway(home: Path, tiny_gguf: Path) -> Iterator[Gateway]:
    running = start_gateway(home, tiny_gguf)
    yield running
    running.end()
