# SPDX-License-Identifier: GPL-3.0-or-later
"""Real gateway processes in front of real workers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import Gateway, start


def _home() -> Path:
    return Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))


@pytest.fixture(scope="module")
def gateway(tiny_gguf: Path) -> Iterator[Gateway]:
    """One gateway for all tests of a module: a tiny model of 2 slots, a short queue."""
    home = _home()
    running = start(
        home, tiny_gguf, context=2048, slots=2, installed=False, max_queue=8, head_seconds=1.5, body_seconds=1.5
    )
    yield running
    running.end()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def start_gateway(tiny_gguf: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways of one's own: `start_gateway(**options)`."""
    running: list[Gateway] = []

    def begin(*models: Path, **options: Any) -> Gateway:
        given = {"context": 2048, "slots": 2, "installed": False, "threads": 1} | options
        running.append(start(_home(), *(models or (tiny_gguf,)), **given))
        return running[-1]

    yield begin
    for one in running:
        one.end()
        shutil.rmtree(one.home, ignore_errors=True)
