# SPDX-License-Identifier: GPL-3.0-or-later
"""Does a fresh build compute, and how fast? Asked in children of its own interpreter: it may crash."""

from __future__ import annotations

import json
import signal
from pathlib import Path

from llama_orch.engines import child
from llama_orch.engines.child import Log
from llama_orch.engines.record import EngineRecord, Speed
from llama_orch.engines.runtime import Runtime

_SMOKE = "llama_orch.engine.smoke"
_SPEED = "llama_orch.engine.speed"
_SECONDS = 180.0
_KILLED = 128


def fails(engine: Runtime, record: EngineRecord, folder: Path, log: Log, lock: int | None) -> str:
    """What goes wrong when it multiplies matrices, in words; empty where all is well."""
    prebuilt = record.kind == "prebuilt"
    command = engine.command(_SPEED, "--quick") if prebuilt else engine.command(_SMOKE, "--extra-buffers=1")
    return _wrong(engine, command, folder, log, lock)


def fails_on_gpu(engine: Runtime, folder: Path, log: Log, lock: int | None) -> str:
    """As `fails`, with all layers on the GPU."""
    return _wrong(engine, engine.command(_SPEED, "--quick", "--gpu"), folder, log, lock)


def _wrong(engine: Runtime, command: list[str], folder: Path, log: Log, lock: int | None) -> str:
    said: list[str] = []
    variables = engine.environment(child.variables({"OMP_WAIT_POLICY": "passive"}))
    status = child.run(
        command, environment=variables, folder=folder, log=log, heard=said.append, lock=lock, seconds=_SECONDS
    )
    if status == 0:
        return ""
    if status == child.LATE:
        return f"takes more than {_SECONDS:.0f} seconds"
    number = status - _KILLED
    if number in list(signal.Signals):
        return f"crashes ({signal.Signals(number).name})"
    words = [line.strip() for line in said if line.strip()]
    return f"fails: {words[-1][:200]}" if words else f"fails with exit status {status}"


def measure(engine: Runtime, folder: Path, log: Log, lock: int | None, *, gpu: bool) -> Speed | None:
    """Tokens per second of the small benchmark on `engine`; None where it cannot run."""
    said: list[str] = []
    command = engine.command(_SPEED, *(["--gpu"] if gpu else []))
    variables = engine.environment(child.variables({}))
    status = child.run(
        command, environment=variables, folder=folder, log=log, heard=said.append, lock=lock, seconds=_SECONDS
    )
    line = next((each for each in reversed(said) if each.startswith("{")), None)
    if status != 0 or line is None:
        return None
    found = json.loads(line)
    return Speed(prompt=float(found["prompt"]), tokens=float(found["tokens"]))
