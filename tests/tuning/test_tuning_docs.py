# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command of docs/how-to/tune.md is typed, as it stands, in a folder that has the files it speaks of."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from environments import ROOT
from serve_process import serving
from tuned_home import Files

PAGE = (ROOT / "docs" / "how-to" / "tune.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
NAMED = ("long.gguf", "base.gguf", "big.gguf", "small-of-the-same-family.gguf")


@pytest.fixture
def folder(orch_home: Path, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with the files of the page and the models that it names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name in NAMED:
        shutil.copy(files.model, tmp_path / name)
    shutil.copy(files.terse, tmp_path / "terse.gguf")
    shutil.copy(files.formal, tmp_path / "formal.gguf")
    for name, file in (("qwen3:4b", "big.gguf"), ("qwen3:0.6b", "small-of-the-same-family.gguf")):
        subprocess.run(["orch", "models", "link", file, "-n", name], check=True, capture_output=True)
    return tmp_path


def test_the_commands_that_ask(folder: Path) -> None:
    typed = [line for line in COMMANDS if line.startswith("orch run")]
    assert len(typed) == 4
    for line in typed:
        done = subprocess.run(["bash", "-c", line], capture_output=True, check=False, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stderr.decode()}"
        assert done.stdout
        assert b"Traceback" not in done.stderr


def test_the_commands_that_serve(folder: Path) -> None:
    typed = [shlex.split(line)[2:] for line in COMMANDS if line.startswith("orch serve")]
    assert len(typed) == 2
    (body,) = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    for arguments in typed:
        with serving(*arguments, "--slots", "1", key="k", small=False) as served:
            asked = body if "--lora" in arguments else {key: body[key] for key in body if key != "lora"}
            status, answer, _ = served.ask("POST", "/v1/chat/completions", asked | {"max_tokens": 4})
            assert status == 200, answer
            if "--context" in arguments:
                (model,) = (
                    each for each in json.loads(served.ask("GET", "/v1/models")[1])["data"] if each["id"] == "long"
                )
                assert model["context_length"] == 65536


def test_every_command_is_typed() -> None:
    assert all(line.startswith(("orch run", "orch serve")) for line in COMMANDS)
