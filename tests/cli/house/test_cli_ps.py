# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch ps` and `orch stop`, with a real worker."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.ps.command import PS, STOP
from llama_orch.pool.local import launcher
from llama_orch_utils.targets.local import LocalWorker, WorkerSettings

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]


@pytest.fixture
def worker(orch_home: Path, tiny_gguf: Path) -> LocalWorker:
    """A running worker of the tiny model."""
    return launcher(str(tiny_gguf), WorkerSettings(context=256, slots=2, keep_alive=300))


def test_nothing_runs(run_orch: Orch, told: Told, snapshot: SnapshotAssertion) -> None:
    for line in (
        ["ps"],
        ["ps", "--json"],
        ["ps", "-q"],
        ["stop"],
        ["stop", "--all"],
        ["stop", "zzz"],
        ["stop", "a", "--all"],
    ):
        assert told(run_orch(*line)) == snapshot(name=" ".join(line))


def test_a_worker_is_listed_and_stopped(worker: LocalWorker, run_orch: Orch) -> None:
    rows = json.loads(run_orch("ps", "--json").stdout)
    assert [set(each) for each in rows] == [set(PS.prints)]
    assert (rows[0]["pid"], rows[0]["model"], rows[0]["state"]) == (worker.pid, worker.model, "ok")
    assert (rows[0]["context"], rows[0]["slots"], rows[0]["demo"]) == (256, 2, False)
    table = run_orch("ps").stdout.decode().splitlines()
    assert table[0].split()[:3] == ["MODEL", "PID", "STATE"]
    assert str(worker.pid) in table[1]
    assert run_orch("ps", "-q").stdout == f"{worker.pid}\n".encode()
    wrong = run_orch("stop", worker.model[:-1] + "z")
    assert wrong.returncode == 1
    assert f"hint: orch stop {worker.model}".encode() in wrong.stderr
    stopped = run_orch("stop", worker.model, "--json")
    assert stopped.returncode == 0, stopped.stderr
    assert [set(each) for each in json.loads(stopped.stdout)] == [set(STOP.prints)]
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
    assert json.loads(run_orch("ps", "--json").stdout) == []


def test_by_process_id_and_all(worker: LocalWorker, run_orch: Orch) -> None:
    assert run_orch("stop", str(worker.pid), "-q").stdout == f"{worker.pid}\n".encode()
    assert run_orch("stop", "--all").returncode == 0
