# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of docs/how-to/pull.md, typed as they stand against a hub; its catalogue, read as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from environments import ROOT
from hub_server import Hub

from llama_orch.models.catalogue import Catalogue

PAGE = (ROOT / "docs" / "how-to" / "pull.md").read_text()


def test_the_commands(orch_home: Path, hub: Hub, demo_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("Qwen/Qwen3-0.6B-GGUF", {"Qwen3-0.6B-Q8_0.gguf": demo_gguf.read_bytes()})
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines() if line]
    assert len(lines) == 5
    for line in lines:
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_the_catalogue(tmp_path: Path) -> None:
    own = tmp_path / "catalogue.toml"
    own.write_text(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])
    catalogue = Catalogue.read(own)
    assert catalogue.find("house:small")[0].source().shown == "hf://our-company/small-GGUF:Q8_0"
    assert catalogue.find("house:large")[0].sha256 is not None
