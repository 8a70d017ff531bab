# SPDX-License-Identifier: GPL-3.0-or-later
"""Real taps (a supervisor and its gateways) in front of servers that fail on demand."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import Gateway
from openai_server import OpenAiServer
from tap_process import start_tap


@pytest.fixture
def servers() -> Iterator[Callable[..., OpenAiServer]]:
    """Starts OpenAI-compatible servers: `servers("a", key=…)`."""
    running: list[OpenAiServer] = []

    def begin(name: str = "there", **options: Any) -> OpenAiServer:
        running.append(OpenAiServer(name, **options).start())
        return running[-1]

    yield begin
    for each in running:
        each.stop()


@pytest.fixture
def taps() -> Iterator[Callable[..., Gateway]]:
    """Starts taps: `taps(models, **told)`."""
    running: list[Gateway] = []

    def begin(models: list[dict[str, Any]], **told: Any) -> Gateway:
        home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
        running.append(start_tap(home, models, **told))
        return running[-1]

    yield begin
    for each in running:
        each.end()
        shutil.rmtree(each.home, ignore_errors=True)
