# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole path on one NVIDIA GPU. Not part of the test command: `pytest -m gpu -n 0 tests/fit` on such a machine.

Needs the driver and a CUDA build of llama.cpp: the engine that is in use (`orch engine use NAME`), or the installed
one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import make_gguf
from llama_orch.devices import nvml
from llama_orch.engines import runtime
from llama_orch.models.estimate.weights import Cpu
from llama_orch.pool import roster
from llama_orch.pool.fleet import hardware
from llama_orch.pool.local import launcher
from llama_orch_utils.targets.local import WorkerSettings

pytestmark = pytest.mark.gpu
Orch = Callable[..., Any]
CLOSE = 0.05


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.5 billion random weights, Q8_0."""
    folder = tmp_path_factory.mktemp("gpu")
    make_gguf.write_decoder(str(folder / "f16.gguf"), "qwen05", "f16", 0)
    make_gguf.quantize(str(folder / "f16.gguf"), str(folder / "q8_0.gguf"), "q8_0", 0)
    return folder / "q8_0.gguf"


def test_the_build_finds_the_gpu_that_nvml_lists() -> None:
    build, (listed, silence) = hardware.ask(None), nvml.read()
    assert silence is None
    assert [each.backend for each in build.gpus] == ["CUDA"] * len(listed)
    assert build.gpus[0].bus == listed[0].bus
    assert build.gpus[0].total == pytest.approx(listed[0].total, rel=CLOSE)


def test_all_layers_are_on_the_gpu_and_take_what_was_reckoned(model: Path, orch_home: Path) -> None:
    from llama_orch import machine
    from llama_orch.models.estimate.wanted import read_wanted

    settings = WorkerSettings(gpu="require", context=8192, slots=4, keep_alive=300)
    build = hardware.ask(None)
    rooms = hardware.rooms(build, settings)
    reckoned = read_wanted((model,), settings, Cpu.of(build.features)).placer().place(rooms, machine.available_memory())
    before = nvml.read()[0][0].free
    worker = launcher(str(model), settings, lambda _: None)
    record = next(each for each in roster.list_workers() if each.pid == worker.pid)
    assert record.layers_gpu == record.layers_total == reckoned.total
    assert record.devices == (rooms[0].name,)
    part = reckoned.parts[0]
    assert record.memory is not None
    assert part.weights + part.cache + part.compute == pytest.approx(record.memory[rooms[0].name], rel=CLOSE)
    taken = before - (nvml.read()[0][0].free or 0)
    assert part.weights + part.cache < taken <= part.need * (1 + CLOSE)
    roster.stop()


def test_require_fails_where_the_gpu_is_hidden(run_orch: Orch, model: Path) -> None:
    hidden = {"CUDA_VISIBLE_DEVICES": ""}
    for mode in ("require", "auto"):
        done = run_orch("run", "-m", str(model), "--gpu", mode, "Hi", env=hidden)
        assert done.returncode == 3
        assert b"unset CUDA_VISIBLE_DEVICES" in done.stderr
    done = run_orch("run", "-m", str(model), "--gpu", "off", "-o", "max_tokens=2", "Hi", env=hidden)
    assert done.returncode == 0, done.stderr


def test_what_does_not_fit_is_refused_with_the_numbers(run_orch: Orch, model: Path) -> None:
    done = run_orch("run", "-m", str(model), "--gpu", "require", "--context", "500000000", "--slots", "1", "Hi")
    assert done.returncode == 3
    assert b"GiB on GPUs" in done.stderr


def test_speed_against_llama_bench_of_the_same_build(model: Path, orch_home: Path) -> None:
    """Tokens a second of one stream, at least 0.97 times what llama-bench says. LLAMA_BENCH names the program."""
    bench = os.environ.get("LLAMA_BENCH") or shutil.which("llama-bench")
    assert bench, "build llama-bench from the same sources and name it in LLAMA_BENCH"
    said = subprocess.run(
        [bench, "-m", str(model), "-p", "0", "-n", "256", "-ngl", "99", "-o", "json"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    peer = float(json.loads(said)[0]["avg_ts"])
    worker = launcher(str(model), WorkerSettings(gpu="require", slots=1), lambda _: None)
    best = max(_speed(worker.socket or "") for _ in range(3))
    roster.stop()
    assert best >= 0.97 * peer, f"{best:.0f} tokens/s against {peer:.0f}"


def _speed(socket: str) -> float:
    from worker_process import UnixConnection

    connection = UnixConnection(socket, 120)
    body = {"prompt": "a", "max_tokens": 513, "temperature": 0, "stream": True, "logit_bias": {"151645": -100}}
    connection.request("POST", "/v1/completions", json.dumps(body), {"content-type": "application/json"})
    answer, count, begun = connection.getresponse(), 0, 0.0
    for line in answer:
        if re.match(rb'data: \{.*"text"', line):
            count += 1
            begun = begun or time.perf_counter()
    return (count - 1) / (time.perf_counter() - begun)


def test_the_engine_in_use_is_a_cuda_build() -> None:
    assert runtime.runtime().name
    assert hardware.ask(None).gpus
