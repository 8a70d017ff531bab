# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker process on a Unix socket, and plain HTTP to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

WAIT = 60.0


@dataclass
class EmbedWorker:
    process: subprocess.Popen[bytes]
    socket: Path
    log_file: Path
    said: list[dict[str, Any]]

    @classmethod
    def start(cls, home: Path, model: Path, *options: str, name: str = "small") -> EmbedWorker:
        """`--tcp` among the options: on a free port instead."""
        socket = home / f"{name}-{len(list(home.iterdir()))}.sock"
        log_file = home / "log"
        where = ["--port", "0"] if "--tcp" in options else ["--socket", str(socket)]
        options = tuple(option for option in options if option != "--tcp")
        command = [sys.executable, "-m", "llama_orch.worker", *where, "--model", str(model)]
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                [*command, "--name", name, *options],
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"ORCH_HOME": str(home)},
            )
        assert process.stdout is not None
        said = [json.loads(line) for line in process.stdout]
        return cls(process, socket, log_file, said)

    @property
    def url(self) -> str:
        return self.said[-1]["url"]

    def transport(self) -> httpx.HTTPTransport:
        return httpx.HTTPTransport(uds=str(self.socket))

    def http(self, timeout: float = WAIT) -> httpx.Client:
        return httpx.Client(transport=self.transport(), base_url="http://localhost", timeout=timeout)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with self.http() as http:
            told = {"content-type": "application/json", **{key.replace("_", "-"): headers[key] for key in headers}}
            return http.post(path, content=content, headers=told)

    def refused(self, path: str, body: Any, status: int = 400) -> Any:
        """The error of an answer that must be one."""
        answer = self.post(path, body)
        assert answer.status_code == status, answer.text
        assert answer.headers["x-orch-request-id"]
        return answer.json()["error"]

    def health(self) -> Any:
        with self.http() as http:
            return http.get("/health").json()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()


def until(condition: Any, what: str, seconds: float = WAIT) -> Any:
    """Polls until `condition` holds; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.01)
    return found
