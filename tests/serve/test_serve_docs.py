# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/how-to/serve.md do what the page says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from certificates import Authority
from environments import ROOT
from serve_process import serving

PAGE = (ROOT / "docs" / "how-to" / "serve.md").read_text()
WAIT = 60


def lines_of(kind: str) -> list[str]:
    blocks = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines() if line]


def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def started(command: str, folder: Path) -> str:
    """The first line of a server that is started as the page says, but for its port and its size."""
    command = re.sub(r"orch serve", f"exec orch serve --slots 2 --port {port()}", command).replace("--port 9000", "")
    command = re.sub(r"^(\w+=\S+) exec ", r"export \1; exec ", command)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (folder / "errors").open("w+") as errors:
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=folder, stdout=subprocess.PIPE, stderr=errors, env=os.environ | {"PATH": path}
        )
        assert process.stdout is not None
        with process.stdout:
            line = process.stdout.readline().decode()
            process.send_signal(signal.SIGTERM)
            assert process.wait(WAIT) == 0, (folder / "errors").read_text()
        assert "Traceback" not in (folder / "errors").read_text()
    return line


def test_every_way_to_start_it(orch_home: Path, tmp_path: Path, tiny_gguf: Path, demo_gguf: Path) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(tiny_gguf, tmp_path / "models" / "other.gguf")
    Authority(tmp_path).issue("tap")
    link = [sys.executable, "-m", "llama_orch.cli", "models", "link", str(demo_gguf), "--name", "qwen3:0.6b"]
    subprocess.run(link, check=True, capture_output=True)
    commands = [line for line in lines_of("console") if "orch serve" in line]
    assert len(commands) > 5
    for command in commands:
        assert started(command, tmp_path).startswith("ready: http"), command


def test_every_way_to_ask_it(orch_home: Path) -> None:
    # A bare machine has no curl: its words are taken for what they mean.
    with serving() as served:
        shell = {"OPENAI_BASE_URL": f"{served.url}/v1", "OPENAI_API_KEY": served.key or ""}
        asked = lines_of("sh")
        assert len(asked) == 2
        for command in asked:
            words = shlex.split(_in(shell, command))
            assert words[:2] == ["curl", "-s"]
            pairs = (words[place + 1].split(": ") for place, word in enumerate(words) if word == "-H")
            headers = {name.lower(): value for name, value in pairs}
            body = words[words.index("-d") + 1].encode() if "-d" in words else None
            path = words[2].removeprefix(served.url)
            status, answer, _ = served.ask("GET" if body is None else "POST", path, body, headers)
            assert status == 200
            assert b"orch-demo" in answer


def _in(shell: dict[str, str], command: str) -> str:
    for name, value in shell.items():
        command = command.replace(f"${name}", value)
    return command
