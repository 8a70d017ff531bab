# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway process as a test sees it. Run as a program, it is one: options as JSON in, the ready line as JSON out."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WAIT = 60.0
KEY = "test-key-0123456789"
CHAT = "/v1/chat/completions"


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
        lines = [line[6:] for line in self.body.decode().split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]


@dataclass
class Gateway:
    process: subprocess.Popen[bytes]
    home: Path
    url: str = ""
    key: str | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    cert: Path | None = None

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def connect(self, timeout: float = WAIT) -> http.client.HTTPConnection:
        if self.cert is not None:
            context = ssl.create_default_context(cafile=str(self.cert))
            return http.client.HTTPSConnection("localhost", self.address[1], timeout=timeout, context=context)
        return http.client.HTTPConnection(*self.address, timeout=timeout)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, *, key: bool = True
    ) -> Reply:
        connection = self.connect()
        try:
            content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            sent = {} if body is None else {"content-type": "application/json"}
            sent |= {"authorization": f"Bearer {self.key}"} if key and self.key else {}
            connection.request(method, path, content, sent | (headers or {}))
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def chat(self, content: str = "Hello", headers: dict[str, str] | None = None, **fields: Any) -> Reply:
        messages = [{"role": "user", "content": content}]
        return self.call("POST", CHAT, {"messages": messages, "max_tokens": 8} | fields, headers)

    def raw(self, data: bytes, *, timeout: float = WAIT, end: bool = False) -> bytes:
        """Everything that is answered to `data` until the server closes; `end` closes our half first."""
        with socket.create_connection(self.address, timeout=timeout) as connection:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            parts: list[bytes] = []
            while part := connection.recv(65536):
                parts.append(part)
            return b"".join(parts)

    def head(self, *lines: str, body: bytes = b"", path: str = CHAT, method: str = "POST") -> bytes:
        """A request with our key, the given header lines, and whatever body."""
        fixed = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {self.key}", *lines, "", ""]
        return "\r\n".join(fixed).encode() + body

    def open_chat(self, content: str = "Hello", name: str = "", **fields: Any) -> http.client.HTTPConnection:
        """Sends a chat request and reads nothing."""
        connection = self.connect()
        body = json.dumps({"messages": [{"role": "user", "content": content}]} | fields)
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
        if name:
            headers["x-orch-client"] = name
        connection.request("POST", CHAT, body, headers)
        return connection

    def worker_health(self) -> dict[str, Any]:
        """What the one worker behind it says of itself."""
        from llama_orch.pool.health import ask

        sockets = sorted(self.home.rglob("*.sock"))
        health = ask(sockets[0]) if sockets else None
        return health.facts if health is not None else {}

    @property
    def log(self) -> str:
        return (self.home / "gateway.log").read_text(errors="replace")

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(WAIT)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    """Polls until `condition` holds; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.01)
    return found


def start(home: Path, *models: Path, ready: bool = True, **options: Any) -> Gateway:
    """Starts a gateway in front of `models`; `options` as `ServeOptions` has them, as JSON."""
    given = {"models": [str(path) for path in models], "port": 0, "key": KEY} | options
    with (home / "gateway.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | {"ORCH_HOME": str(home)},
        )
    gateway = Gateway(process, home)
    if ready:
        hear(gateway)
    return gateway


def hear(gateway: Gateway) -> None:
    """Waits for the ready line."""
    assert gateway.process.stdout is not None
    line = gateway.process.stdout.readline()
    if not line:
        gateway.end()
    assert line, gateway.log
    gateway.ready = json.loads(line)
    gateway.url, gateway.key = gateway.ready["url"], gateway.ready["key"]


def in_threads(count: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work(0)` … `work(count - 1)` give, all at once."""
    found: dict[int, Any] = {}
    threads = [threading.Thread(target=lambda i=i: found.__setitem__(i, work(i))) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    return [found[i] for i in range(count)]


def answers(raw: bytes) -> Iterator[Reply]:
    """The HTTP answers in `raw`, one after another."""
    while raw:
        head, _, rest = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while (size := int(rest.partition(b"\r\n")[0], 16)) > 0:
                rest = rest.partition(b"\r\n")[2]
                body, rest = body + rest[:size], rest[size + 2 :]
            rest = rest.partition(b"\r\n\r\n")[2]
        else:
            length = int(headers.get("content-length", 0))
            body, rest = rest[:length], rest[length:]
        yield Reply(int(status.split()[1]), headers, body)
        raw = rest


def main() -> int:
    """The gateway itself."""
    from llama_orch.models.store import Store
    from llama_orch.tap.process import serve
    from llama_orch.tap.settings import Ready, ServeOptions
    from llama_orch_utils.secrets.secret import Secret

    given = json.loads(sys.argv[1])
    key = given.pop("key")
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    options["models"] = tuple(Store().resolve(model) for model in given["models"])
    for name in ("cert", "key_file"):
        if name in options:
            options[name] = Path(options[name])

    def announce(ready: Ready) -> None:
        shown = {"url": ready.url, "key": ready.key and ready.key.value, "models": ready.models, "pid": ready.pid}
        print(json.dumps(shown), flush=True)

    return serve(ServeOptions(key=Secret(key, "argument") if key else None, **options), announce)


if __name__ == "__main__":
    sys.exit(main())
