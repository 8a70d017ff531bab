# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch ps` and `orch stop`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from llama_orch.cli.command import Command
from llama_orch.cli.failure import UsageError
from llama_orch.cli.options import Printing, argument, flag

if TYPE_CHECKING:
    from llama_orch.cli.output import Output
    from llama_orch.pool.roster import WorkerRecord

_KEYS = {
    "model": "the model that it serves",
    "pid": "its process",
    "state": "starting, loading, ok, stopping, failed or silent",
    "uptime": "seconds since it started",
    "expires_in": "seconds until it ends by itself, or null while that is open",
    "active": "requests that it answers now",
    "queued": "requests that wait",
    "context": "tokens per sequence, or null while it does not tell",
    "slots": "sequences at once, or null while it does not tell",
    "threads": "CPU threads as asked for, or null",
    "gpu_layers": "layers on the GPU as asked for, or null",
    "layers_gpu": "layers on GPUs, or null while it does not tell",
    "layers_total": "layers, the output matrix counting as one, or null",
    "devices": "where it computes, by llama.cpp's names, or null",
    "memory": "bytes that llama.cpp took on each device, or null",
    "cache_type_k": "the type of the cached keys as asked for, or null",
    "cache_type_v": "the type of the cached values as asked for, or null",
    "loras": "LoRA adapters with their scales, in the order of their numbers",
    "draft": "the draft model that proposes tokens, or null",
    "engine": "the managed build that it runs on, or null: the installed one",
    "size": "bytes of the model file",
    "path": "the model file",
    "socket": "where it listens",
    "log": "its log file",
    "demo": "whether it serves the embedded demo",
}


@dataclass(frozen=True, kw_only=True)
class Ps(Printing):
    """List the workers that run on this machine."""


@dataclass(frozen=True, kw_only=True)
class Stop(Printing):
    """Stop the worker of a model; with --all, every worker.

    Without either, stops the only worker there is. Answers that it is giving end with an error.
    """

    model: str | None = argument("MODEL", help="a model, or a process id", required=False, complete="worker")
    everything: bool = flag("--all", help="stop every worker")


def ps(_options: Ps, out: Output) -> None:
    """The workers, oldest first."""
    from llama_orch.cli.output import size
    from llama_orch.pool import roster

    rows = [_row(worker) for worker in roster.list_workers()]
    shown = rows if out.mode == "json" else [{**row, "where": _where(row)} for row in rows]
    columns: dict[str, Callable[[object], str] | None] = {
        "model": None, "pid": None, "state": None, "size": size, "where": None, "context": None, "active": None,
        "queued": None,
        "uptime": _duration, "expires_in": _duration,
    }  # fmt: skip
    out.table(shown, columns, key="pid", empty="no worker is running")


def stop(options: Stop, out: Output) -> None:
    """Stop one worker or all, and tell which."""
    from llama_orch.pool import roster

    stopped: list[dict[str, object]] = []
    for worker in _meant(options, roster.list_workers()):
        roster.stop(pid=worker.pid)
        stopped.append({"model": worker.model, "pid": worker.pid})
        if out.mode == "human":
            out.note(f"stopped {worker.model} (pid {worker.pid})")
    if out.mode != "human":
        out.table(stopped, {}, key="pid", empty="")
    elif not stopped:
        out.note("no worker is running")


def _meant(options: Stop, running: list[WorkerRecord]) -> list[WorkerRecord]:
    """The workers that the words mean. Raises UsageError where they mean none, or could mean several."""
    if options.everything:
        if options.model:
            raise UsageError("name a model or say --all, not both", hint="orch stop --all")
        return running
    if options.model is None:
        if len(running) > 1:
            raise UsageError(f"{len(running)} workers are running: name one, or say --all", hint="orch ps")
        return running
    found = [each for each in running if options.model in {each.model, str(each.pid), each.path}]
    if not found:
        raise _not_running(options.model, running)
    return found


def _not_running(word: str, running: list[WorkerRecord]) -> Exception:
    from llama_orch.cli.suggest import nearest
    from llama_orch_utils.errors import ModelNotFound

    near = nearest(word, [each.model for each in running])
    meant = f"; did you mean '{near[0]}'?" if near else ""
    hint = f"orch stop {near[0]}" if near else "orch ps"
    return ModelNotFound(f"no worker of '{word}' is running{meant}", near_misses=near, hint=hint)


def _row(worker: WorkerRecord) -> dict[str, object]:
    import time

    found: dict[str, object] = {name: getattr(worker, name, None) for name in _KEYS}
    return {**found, "uptime": max(0, round(time.time() - worker.started))}


def _where(row: dict[str, object]) -> str:
    """The devices for people: `CUDA0`, `CUDA0 + CPU 12/25`."""
    devices = cast("list[str] | None", row["devices"])
    if not devices:
        return "-"
    partial = len(devices) > 1 and "CPU" in devices
    return " + ".join(devices) + (f" {row['layers_gpu']}/{row['layers_total']}" if partial else "")


def _duration(value: object) -> str:
    if not isinstance(value, (int, float)):
        return "-"
    seconds = round(value)
    minutes, hours = seconds // 60, seconds // 3600
    return f"{seconds} s" if not minutes else f"{minutes} min" if not hours else f"{hours} h {minutes % 60} min"


PS = Command("ps", Ps, ps, ("orch ps", "orch ps --json"), _KEYS)
STOP = Command("stop", Stop, stop, ("orch stop orch-demo", "orch stop --all"),
               {"model": "what it served", "pid": "its process"})  # fmt: skip
