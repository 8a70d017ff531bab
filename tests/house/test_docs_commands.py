# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command that the documentation shows is typed, as it stands, in a home that has the files that it names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from environments import ROOT
from hub_server import running_hub

from llama_orch_utils.testing import FakeTap

PAGES = ["README.md", "docs/tutorials/first-run.md", "docs/how-to/run.md", "docs/how-to/chat.md",
         "docs/how-to/structured-output.md", "docs/how-to/tools.md", "docs/how-to/attachments.md",
         "docs/how-to/applets.md", "docs/how-to/own-model.md", "applets/summarize/README.md",
         *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs/how-to/clients").glob("*.md")))]  # fmt: skip
FILES = ["notes.txt", "plan.md", "error.log", "question.txt", "report.txt", "README.md"]
CODE = {
    "weather.py": "from llama_orch_utils import tool\n\n@tool\ndef weather(city: str, days: int = 1) -> str:\n"
                  "    'Weather of a city.'\n    return f'rain in {city} for {days} days'\n",
    "tickets.csv": "subject,body\nCannot log in,My password is refused.\n",
    "weather.json": '{"type": "object", "properties": {"sunny": {"type": "boolean"}}, "required": ["sunny"],'
                    ' "additionalProperties": false}',
}  # fmt: skip
MODELS = [
    "Downloads/Qwen3-0.6B-Q8_0.gguf",
    "models/qwen3-0.6b-q8_0.gguf",
    "models/Qwen3-0.6B-Q8_0.gguf",
    "models/other.gguf",
    "Downloads/Qwen3-4B-Q4_K_M.gguf",
]
# What installs, tests or fetches is shown elsewhere: scripts/newcomer, CI.
ELSEWHERE = ("pip ", "curl ", "scripts/uv run pytest")


def commands_of(page: str) -> Iterator[str]:
    """The command lines of a page's `sh` and `console` blocks, without prompt and without the way to uv."""
    for block in re.findall(r"```(?:console|sh)\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
        for line in block.splitlines():
            command = line.removeprefix("$ ").strip()
            if command and not command.startswith(ELSEWHERE):
                yield command.replace("scripts/uv run orch", "orch")


@pytest.fixture
def home(orch_home: Path, tmp_path: Path, demo_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with the files and models that the pages speak of, and a public tap."""
    for name in FILES:
        (tmp_path / name).write_text("What is the Public Tap?\n")
    for name, text in CODE.items():
        (tmp_path / name).write_text(text)
    for name in MODELS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(demo_gguf, tmp_path / name)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    shutil.copytree(ROOT / "applets/summarize/samples", tmp_path / "samples")
    with FakeTap() as tap, running_hub() as hub:
        hub.add("Qwen/Qwen3-0.6B-GGUF", {"Qwen3-0.6B-Q8_0.gguf": demo_gguf.read_bytes()})
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("ORCH_PUBLIC_URL", tap.url)
        monkeypatch.setenv("ORCH_API_KEY", "sk-test")
        yield tmp_path


def typed(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    if "--cid ID" in command:
        listed = subprocess.run(["orch", "logs", "ls", "-q"], capture_output=True, text=True, cwd=home, check=True)
        command = command.replace("--cid ID", f"--cid {listed.stdout.split()[0]}")
    return subprocess.run(
        ["bash", "-c", command], input="", capture_output=True, text=True, cwd=home, timeout=120, check=False
    )


def chatted(command: str, home: Path) -> int:
    """The exit code of a chat of one question, on a terminal."""
    shell = pexpect.spawn("bash", ["-c", command], cwd=str(home), timeout=60)
    shell.expect_exact(">>> ")
    shell.sendline("Hello")
    shell.expect_exact(">>> ")
    shell.sendline("/quit")
    shell.expect(pexpect.EOF)
    shell.close()
    return shell.exitstatus or 0


def served(command: str, home: Path) -> int:
    """The exit code of a server that was told to end once it was ready."""
    anywhere = re.sub(r" --port \d+", "", command) + " --port 0"
    with subprocess.Popen(["bash", "-c", f"exec {anywhere}"], stdout=subprocess.PIPE, text=True, cwd=home) as server:
        assert server.stdout is not None
        assert server.stdout.readline().startswith("ready: "), command
        server.terminate()
        return server.wait(60)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_do_what_they_should(page: str, home: Path) -> None:
    commands = list(commands_of(page))
    assert commands
    subprocess.run(["orch", "models", "link", MODELS[0], "--name", "qwen3:0.6b"], cwd=home, check=True)
    if any("models link" in command for command in commands):
        subprocess.run(["orch", "models", "rm", "qwen3:0.6b"], cwd=home, check=True)
    for command in commands:
        if command.startswith("orch chat"):
            assert chatted(command, home) == 0, command
            continue
        if command.startswith(("orch serve", "orch tap serve")):
            assert served(command, home) == 0, command
            continue
        done = typed(command, home)
        if " -x " in command:  # the demo writes no code, and says so
            assert "no fenced code block" in done.stderr
            continue
        if " --cite" in command:  # the demo quotes nothing, and says so
            assert "no point that the text shows" in done.stderr
            continue
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, command
