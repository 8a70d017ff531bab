# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker process as a test sees it: what it says, and a plain HTTP client for its socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WAIT = 60.0


class UnixConnection(http.client.HTTPConnection):
    """http.client over a Unix socket."""

    def __init__(self, path: str, timeout: float = WAIT) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json["error"]

    @property
    def events(self) -> list[Any]:
        """The data of all server-sent events; [DONE] as that word."""
        lines = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    @property
    def text(self) -> str:
        """The streamed or whole text."""
        if self.headers["content-type"].startswith("application/json"):
            return self.json["choices"][0]["message"]["content"]
        chunks = [event for event in self.events if event != "[DONE]" and event.get("choices")]
        return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    home: Path
    socket: Path | None
    said: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def connect(self, timeout: float = WAIT) -> http.client.HTTPConnection:
        if self.socket is not None:
            return UnixConnection(str(self.socket), timeout)
        host, port = self.url.removeprefix("http://").split(":")
        return http.client.HTTPConnection(host, int(port), timeout=timeout)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        connection = self.connect()
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            kind = {} if body is None else {"content-type": "application/json"}
            connection.request(method, path, content, kind | (headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def chat(self, content: str = "Hello", headers: dict[str, str] | None = None, **fields: Any) -> Reply:
        messages = [{"role": "user", "content": content}]
        return self.call("POST", "/v1/chat/completions", {"messages": messages} | fields, headers)

    def health(self) -> Any:
        return self.call("GET", "/health").json

    def open_chat(self, content: str = "Hello", **fields: Any) -> http.client.HTTPConnection:
        """Sends a chat request and reads nothing."""
        connection = self.connect()
        body = json.dumps({"messages": [{"role": "user", "content": content}]} | fields)
        connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
        return connection

    def read_said(self) -> list[dict[str, Any]]:
        """Everything on stdout until the worker closes it."""
        assert self.process.stdout is not None
        self.said += [json.loads(line) for line in self.process.stdout]
        for event in self.said:
            if event["event"] == "ready":
                self.url = event["url"]
        return self.said

    @property
    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    """Polls until `condition` holds; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.01)
    return found


def start(
    home: Path,
    model: Path,
    *options: str,
    command: tuple[str, ...] = ("-m", "llama_orch.worker"),
    tcp: bool = False,
    **popen: Any,
) -> Worker:
    path = None if tcp else home / f"{len(list(home.iterdir()))}.sock"
    where = ("--port", "0") if path is None else ("--socket", str(path))
    arguments = [sys.executable, *command, *where, "--model", str(model), "--name", "tiny", *options]
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=log, env=os.environ | {"ORCH_HOME": str(home)}, **popen
        )
    return Worker(process, home, path)
