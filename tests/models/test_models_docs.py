# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command of docs/how-to/models.md is typed, as it stands, in a home that has what it speaks of."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from environments import ROOT
from gguf_writing import write_projector, write_split

PAGE = ROOT / "docs" / "how-to" / "models.md"


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_commands_of_the_page(
    orch_home: Path, tmp_path: Path, demo_gguf: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "OLLAMA_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    models, others = tmp_path / "models", tmp_path / ".lmstudio/models/publisher/Seer-GGUF"
    write_split(tiny_gguf, models, "big")
    others.mkdir(parents=True)
    for path in (models / "qwen.gguf", models / "seer.gguf", others / "Seer-Q4_K_M.gguf"):
        shutil.copy(demo_gguf, path)
    write_projector(models / "mmproj-seer-f16.gguf")
    subprocess.run(["orch", "models", "link", str(models / "qwen.gguf"), "-n", "qwen3:0.6b"], check=True)
    typed = commands()
    assert len(typed) >= 12
    for line in typed:
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        assert "Traceback" not in done.stderr
