# SPDX-License-Identifier: GPL-3.0-or-later
"""A home with workers in it, and commands that start them in processes of their own."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import workers_of

from llama_orch.pool import roster
from llama_orch.pool.local import launcher
from llama_orch_utils.targets.local import LoadEvent, LocalWorker, WorkerSettings

WAIT = 60.0

STARTER = """
import sys, time
from llama_orch.pool.local import launcher
from llama_orch_utils.targets.local import WorkerSettings
say = lambda event: print("event", event.kind, event.progress, flush=True)
worker = launcher(sys.argv[1], WorkerSettings(keep_alive=float(sys.argv[2])), say)
print("pid", worker.pid, flush=True)
sys.stdin.read()
"""


@dataclass
class Home:
    path: Path
    model: Path
    events: list[LoadEvent] = field(default_factory=list)

    def launch(self, model: Path | None = None, **settings: Any) -> LocalWorker:
        return launcher(str(model or self.model), WorkerSettings(**settings), self.events.append)

    def starter(self, keep_alive: float = 300) -> subprocess.Popen[str]:
        """Another command that starts or finds the worker, and stays until its stdin is closed."""
        return subprocess.Popen(
            [sys.executable, "-c", STARTER, str(self.model), str(keep_alive)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def files(self) -> list[str]:
        folder = self.path / "run" / "workers"
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    @property
    def processes(self) -> list[int]:
        """Worker processes of this home that run, as the kernel lists them."""
        return workers_of(self.path)

    def stop_all(self) -> None:
        roster.stop()

    def assert_nothing_left(self) -> None:
        def nothing() -> bool:
            roster.list_workers()  # whoever looks sweeps
            return not self.files and not self.processes

        # A child that tried the model's file may outlive a worker that was shot by a moment.
        until(nothing, f"nothing is left: {self.files}, {self.processes}")


def close(starter: subprocess.Popen[str]) -> int:
    """Lets a starter end; its status."""
    for pipe in (starter.stdin, starter.stdout):
        assert pipe is not None
        pipe.close()
    return starter.wait(WAIT)


def chat(worker: LocalWorker, **fields: Any) -> tuple[int, bytes]:
    connection = open_chat(worker, **fields)
    try:
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def open_chat(worker: LocalWorker, **fields: Any) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("localhost", timeout=WAIT)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(WAIT)
    connection.sock.connect(worker.socket or "")
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3} | fields
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    return connection


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.01)
    return found


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
