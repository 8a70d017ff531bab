# SPDX-License-Identifier: GPL-3.0-or-later
"""A real gateway with a real worker, as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai

_SERVE = """
import json, sys
from llama_orch.models.store import Store
from llama_orch.tap.process import serve
from llama_orch.tap.settings import ServeOptions

def announce(ready):
    key = ready.key.value if ready.key else ""
    print(json.dumps({"url": ready.url, "key": key, "models": ready.models}), flush=True)

given = json.loads(sys.argv[1])
models = tuple(Store().resolve(model) for model in given["models"])
sys.exit(serve(ServeOptions(**given | {"models": models}), announce))
"""


@dataclass
class Gateway:
    process: subprocess.Popen[bytes]
    home: Path
    url: str = ""
    key: str = ""
    model: str = ""
    clients: list[openai.OpenAI] = field(default_factory=list)

    def client(self, **more: Any) -> openai.OpenAI:
        made = openai.OpenAI(base_url=f"{self.url}/v1", api_key=self.key or "none", max_retries=0, **more)
        self.clients.append(made)
        return made

    def end(self) -> None:
        for client in self.clients:
            client.close()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()

    @property
    def log(self) -> str:
        return (self.home / "gateway.log").read_text(errors="replace")


def start(home: Path, model: Path, **options: Any) -> Gateway:
    given = {"models": [str(model)], "port": 0, "slots": 2, "context": 2048, "installed": False} | options
    with (home / "gateway.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVE, json.dumps(given)],
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | {"ORCH_HOME": str(home)},
        )
    gateway = Gateway(process, home)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, gateway.log
    ready = json.loads(line)
    gateway.url, gateway.key, gateway.model = ready["url"], ready["key"], ready["models"][0]
    return gateway
