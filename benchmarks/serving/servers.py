# SPDX-License-Identifier: GPL-3.0-or-later
"""The servers that are measured, each a process of its own on loopback."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


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
    """A running server. `cpu()` is the CPU seconds that its process has used, children included."""

    def __init__(self, name: str, shape: Shape, peer: str, log: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.name = name
        with log.open("wb") as file:
            self._process = subprocess.Popen(command_of(name, shape, self.port, peer), stdout=file, stderr=file)
        self._wait(log)

    def _wait(self, log: Path) -> None:
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/v1/models")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        self.stop()
        raise SystemExit(f"{self.name} did not start:\n{log.read_text(errors='replace')[-3000:]}")

    def cpu(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
