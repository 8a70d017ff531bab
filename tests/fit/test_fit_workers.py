# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate against real worker processes: llama.cpp's own buffers, and what the kernel says is resident."""

from __future__ import annotations

import fcntl
import http.client
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from worker_process import Worker, start

import make_gguf
from llama_orch import machine
from llama_orch.devices import llamacpp
from llama_orch.models.estimate.wanted import Wanted, read_wanted
from llama_orch.models.estimate.weights import Cpu
from llama_orch_utils.targets.local import WorkerSettings

CLOSE = 0.05
MIB = 2**20
PATIENCE = 240
LAYOUTS = ((None, None, None), (1024, 4, 2**20), (4096, 16, 2**22), (300, 1, 2**21), (64, 3, 2**18))


@pytest.fixture(scope="module")
def cpu() -> Cpu:
    return Cpu.of(llamacpp.ask().features)


@pytest.fixture(scope="module")
def small(shared_folder: Path) -> Callable[[str], Path]:
    """A model of 42 million random weights, as f16 or quantised."""

    def of(kind: str) -> Path:
        path = shared_folder / f"fit-small-{kind}.gguf"
        with (shared_folder / "fit-small.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            base = shared_folder / "fit-small-f16.gguf"
            if not base.exists():
                make_gguf.write_decoder(str(base.with_suffix(".partial")), "small", "f16", 0)
                base.with_suffix(".partial").rename(base)
            if not path.exists():
                make_gguf.quantize(str(base), str(path.with_suffix(".partial")), kind, 2)
                path.with_suffix(".partial").rename(path)
        return path

    return of


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("f16", WorkerSettings(context=1024, slots=4)),
        ("q8_0", WorkerSettings(context=512, slots=8, cache_type_k="q8_0", cache_type_v="q8_0")),
        ("q4_0", WorkerSettings(context=768, slots=2, cache_type_k="q8_0")),
        ("q4_0", WorkerSettings(context=768, slots=2, flash_attention="off")),
    ],
    ids=["f16", "q8_0-q8_0-cache", "q4_0-q8_0-keys", "q4_0-no-flash"],
)
def test_a_worker_takes_what_was_reckoned(
    kind: str, settings: WorkerSettings, small: Callable[[str], Path], orch_home: Path, cpu: Cpu
) -> None:
    path, available = small(kind), machine.available_memory()
    load = read_wanted((path,), settings, cpu)
    reckoned = load.memory(available)
    worker = start(orch_home, path, *flags(settings))
    try:
        assert worker.read_said()[-1]["event"] == "ready", worker.log
        health = worker.health()
        assert health["context"] == load.layout(available).context
        assert health["memory_reckoned"] == reckoned.total, "the worker reckons as everybody else"
        repacked = reckoned.weights > 0  # then llama.cpp counts the file's pages whole, though it reads few of them
        file = reckoned.mapped if not repacked else load.shape.weights
        buffers = file + reckoned.weights + reckoned.cache + reckoned.compute + reckoned.outputs
        assert buffers == pytest.approx(health["memory"]["CPU"], rel=CLOSE)
        fill(worker, health["context"])
        once = load.shape.weights - reckoned.mapped  # read to be repacked: the kernel drops them when it wants the room
        most = resident(worker.process.pid)
        assert (most - once) * (1 - CLOSE) <= reckoned.total <= most * (1 + CLOSE)
    finally:
        worker.end()


def test_the_engine_lays_out_what_was_foreseen(tiny_gguf: Path, orch_home: Path) -> None:
    """Unified or streams, sequences and cells: as the engine decides."""
    from llama_orch.engine.context import plan
    from llama_orch.engine.model import Model
    from llama_orch.engine.records import EngineOptions

    model = Model.load(tiny_gguf, EngineOptions())
    for context, slots, room in (
        (None, None, None),
        (1024, 4, 2**20),
        (4096, 16, 2**22),
        (300, 1, 2**21),
        (64, 3, 2**18),
    ):
        load: Wanted = read_wanted((tiny_gguf,), WorkerSettings(context=context, slots=slots))
        available = machine.available_memory() if room is None else room
        made = plan(model.card, EngineOptions(context=context, slots=slots, room=available))
        layout = load.layout(available)
        assert (layout.context, layout.slots, layout.cells, layout.sequences, layout.unified) == (
            made.context, made.slots, made.cells, made.sequences, made.unified,
        )  # fmt: skip
    model.close()


def flags(settings: WorkerSettings) -> list[str]:
    from llama_orch.pool.load_settings import arguments

    return list(arguments(settings))


def fill(worker: Worker, context: int) -> None:
    """A prompt as long as the context: every buffer is touched."""
    connection = worker.connect(PATIENCE)
    body = {"prompt": [number % 300 for number in range(context - 8)], "max_tokens": 4}
    connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
    answer: http.client.HTTPResponse = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()


def resident(pid: int) -> int:
    """Bytes in memory, pages of files included."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024
