# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch serve` as a real process, and plain HTTP requests to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WAIT = 60.0
COMMAND = [sys.executable, "-m", "llama_orch.cli", "serve"]
SMALL = ("--slots", "2", "--context", "256")


@dataclass
class Served:
    """A running `orch serve` that has said that it is ready."""

    process: subprocess.Popen[bytes]
    lines: list[str]
    errors: Path
    key: str | None

    @property
    def url(self) -> str:
        return self.lines[0].split()[1]

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of one request; with the key, unless the headers hold another."""
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=WAIT)
        given = {} if self.key is None else {"authorization": f"Bearer {self.key}"}
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        if data is not None:
            given["content-type"] = "application/json"
        try:
            connection.request(method, path, data, given | (headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()

    def chat(self, model: str | None, **fields: Any) -> tuple[int, dict[str, Any]]:
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4} | fields
        status, answer, _ = self.ask("POST", "/v1/chat/completions", body if model is None else body | {"model": model})
        return status, json.loads(answer)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(WAIT)


@contextmanager
def serving(
    *arguments: str, key: str | None = None, env: dict[str, str] | None = None, ready_lines: int = 3, small: bool = True
) -> Iterator[Served]:
    """`orch serve --port 0` with `arguments`; ended afterwards."""
    with tempfile.NamedTemporaryFile(prefix="orch-serve-", suffix=".err") as errors:
        given = {**os.environ, **({} if key is None else {"ORCH_API_KEY": key}), **(env or {})}
        command = [*COMMAND, "--port", "0", *(SMALL if small else ()), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=given)
        assert process.stdout is not None
        try:
            lines = [process.stdout.readline().decode().rstrip("\n") for _ in range(ready_lines)]
            assert lines[0], Path(errors.name).read_text()
            yield Served(process, lines, Path(errors.name), key or _key_of(lines))
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _key_of(lines: list[str]) -> str | None:
    """The key among the lines to paste."""
    value = next((line.partition("=")[2] for line in lines if line.startswith("export OPENAI_API_KEY=")), "none")
    return None if value == "none" else value


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.02)
    return found
