# SPDX-License-Identifier: GPL-3.0-or-later
"""A tap as its operator has it: the folder, the real `orch tap` commands, and the tap as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from gateway_process import WAIT, Gateway, Reply

from llama_orch.ledger.books.book import Book
from llama_orch.tap.config.reading import read
from llama_orch.tap.founding import found

ORCH = [sys.executable, "-m", "llama_orch.cli"]


class OperatorTap:
    """The tap of `folder`. `orch` types a command, `serve` starts the tap."""

    def __init__(self, home: Path, folder: Path, **environ: str) -> None:
        self.home, self.folder = home, folder
        self.environ = os.environ | {"ORCH_HOME": str(home), "ORCH_TAP_DIR": str(folder)} | environ
        self.admin_key = ""
        self.typed: list[str] = []
        self.gateway: Gateway | None = None

    def run(self, *words: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:  # noqa: A002
        done = subprocess.run(
            [*ORCH, "tap", *words], input=input, capture_output=True, env=self.environ, timeout=WAIT, check=False
        )
        self.typed.append(f"{done.stderr.decode()}")
        return done

    def orch(self, *words: str, input: bytes = b"") -> Any:  # noqa: A002
        """What the command says with --json; it must succeed."""
        done = self.run(*words, "--json", input=input)
        assert done.returncode == 0, f"orch tap {' '.join(words)}\n{done.stdout.decode()}{done.stderr.decode()}"
        return json.loads(done.stdout)

    def init(self, *words: str) -> Any:
        made = self.orch("init", str(self.folder), *words)
        self.admin_key = made["admin_key"]
        return made

    def found(self, mode: Any = "public", database: str = "sqlite:///tap.db") -> Book:
        """As `init`, within this process; the books to fill."""
        self.admin_key = found(self.folder, mode=mode, name="test", database=database).admin_key
        return self.book()

    def book(self) -> Book:
        """The books of the tap."""
        return Book.open(read(self.folder, environ={}).database, actor="test")

    def serve(self, *words: str) -> Gateway:
        """Starts it on a free port and waits for its line."""
        with (self.home / "gateway.log").open("ab") as log:
            process = subprocess.Popen(
                [*ORCH, "tap", "serve", str(self.folder), "--port", "0", "--json", *words],
                stdout=subprocess.PIPE,
                stderr=log,
                env=self.environ,
            )
        gateway = self.gateway = Gateway(process, self.home)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            gateway.end()
        assert line, gateway.log
        gateway.ready = json.loads(line)
        gateway.url = gateway.ready["url"]
        return gateway

    def admin(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Reply:
        """One request of the admin API."""
        assert self.gateway is not None
        given = self.admin_key if key is None else key
        headers = {"authorization": f"Bearer {given}"} if given else {}
        return self.gateway.call(method, f"/admin/v1{path}", body, headers, key=False)

    def end(self) -> None:
        """Ends the tap, if it still runs."""
        if self.gateway is not None and self.gateway.process.poll() is None:
            self.gateway.end(signal.SIGTERM)
