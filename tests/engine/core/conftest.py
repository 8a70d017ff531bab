# SPDX-License-Identifier: GPL-3.0-or-later
"""What the core's tests share: engines on the tiny model, and schedulers without a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from core_bench import Bench, Receiver, Running

from llama_orch.engine.engine import Engine
from llama_orch.engine.records import EngineOptions

Start = Callable[..., Running]


@pytest.fixture
def start(tiny_gguf: Path) -> Iterator[Start]:
    """Starts engines on the tiny model with given options; closes them afterwards."""
    running: list[Engine] = []

    def begin(path: Path = tiny_gguf, **options: object) -> Running:
        options = {"context": 512, "slots": 4, "unified": True, **options}
        received = Receiver()
        engine = Engine.load(path, EngineOptions(**options), received)  # type: ignore[arg-type]
        running.append(engine)
        return Running(engine, received)

    yield begin
    for engine in running:
        engine.close()


@pytest.fixture
def bench(tiny_gguf: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**options: object) -> Bench:
        made.append(Bench(tiny_gguf, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()
