# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers that are measured, each a process of its own on loopback."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Shape:
    """What all servers get alike: the model, sequences at once, tokens of context per sequence, threads."""

    model: Path
    slots: int
    context: int
    threads: int


def command_of(name: str, shape: Shape, port: int, peer: str) -> list[str]:
    """How `name` is started. `peer` is the folder of llama-server, or the Python that has llama_cpp.server."""
    if name == "orch":
        return [sys.executable, "-m", "llama_orch.cli", "serve", "-m", str(shape.model), "--port", str(port),
                "--no-auth", "--slots", str(shape.slots), "--context", str(shape.context),
                "--threads", str(shape.threads)]  # fmt: skip
    if name == "orch worker":
        return [sys.executable, "-m", "llama_orch.worker", "--host", "127.0.0.1", "--port", str(port), "--model",
                str(shape.model), "--name", "bench", "--keep-alive", "3600", "--slots", str(shape.slots), "--context",
                str(shape.context), "--threads", str(shape.threads)]  # fmt: skip
    if name == "llama-server":
        return [f"{peer}/llama-server", "-m", str(shape.model), "--port", str(port), "-np", str(shape.slots), "-c",
                str(shape.context * shape.slots), "-t", str(shape.threads), "-tb", str(shape.threads),
                "--cont-batching", "-fa", "auto", "--jinja", "--no-webui"]  # fmt: skip
    if name == "llama_cpp.server":
        return [peer, "-m", "llama_cpp.server", "--model", str(shape.model), "--port", str(port), "--n_ctx",
                str(shape.context), "--n_threads", str(shape.threads), "--n_threads_batch", str(shape.threads),
                "--interrupt_requests", "false", "--model_alias", "bench"]  # fmt: skip
    raise SystemExit(f"unknown server {name}")


class Server:
    """A running server. `model` is the id that requests name."""

    def __init__(self, name: str, shape: Shape, peer: str, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.name = name
        log = folder / f"{name}.log"
        home = {"ORCH_HOME": str(folder / "home")}
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command_of(name, shape, self.port, peer), stdout=file, stderr=file, env=os.environ | home
            )
        self.model = self._wait(log)

    def _wait(self, log: Path) -> str:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if self._get("/health")[0] in (200, 404):
                    return json.loads(self._get("/v1/models")[1])["data"][0]["id"]
            except OSError:
                pass
            time.sleep(0.1)
        self.stop()
        raise SystemExit(f"{self.name} did not start:\n{log.read_text(errors='replace')[-3000:]}")

    def _get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def cpu(self) -> float:
        """CPU seconds that its processes have used."""
        return sum(_cpu(Path(f"/proc/{pid}/stat")) for pid in self._processes())

    def serving_cpu(self) -> float:
        """CPU seconds of ours that were not the engine's: the gateway, and the thread of the worker that serves."""
        gateway, *workers = self._processes()
        return _cpu(Path(f"/proc/{gateway}/stat")) + sum(_cpu(Path(f"/proc/{w}/task/{w}/stat")) for w in workers)

    def _processes(self) -> list[int]:
        found = [self._process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        return found

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _cpu(stat: Path) -> float:
    fields = stat.read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK
