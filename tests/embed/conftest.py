# SPDX-License-Identifier: GPL-3.0-or-later
"""Real worker processes with small embedding and rank models."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from embed_worker import EmbedWorker
from embedding_models import embedding_model

Serve = Callable[..., EmbedWorker]


@pytest.fixture(scope="module")
def serve(shared_folder: Path, tiny_gguf: Path) -> Iterator[Serve]:
    """A worker for a model by name (`tiny` generates), each started once in a module."""
    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    running: dict[object, EmbedWorker] = {}

    def find(name: str, *options: str) -> EmbedWorker:
        key = (name, *options)
        if key not in running:
            model = tiny_gguf if name == "tiny" else embedding_model(shared_folder, name)
            running[key] = EmbedWorker.start(home, model, *options)
            assert running[key].said[-1]["event"] == "ready", running[key].log_file.read_text()
        return running[key]

    yield find
    for worker in running.values():
        worker.end()
    shutil.rmtree(home, ignore_errors=True)
