# SPDX-License-Identifier: GPL-3.0-or-later
"""`pip install llama-orch` alone: an engine is built beside it and answers; the environment stays as it was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from engine_home import offline
from environments import build_wheel, make_environment


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The Python of an environment with the command and the SDK alone."""
    wheels = [build_wheel(name, tmp_path / "wheels") for name in ("llama-orch", "llama-orch-utils")]
    return make_environment(tmp_path / "env", wheels)


def files(environment: Path) -> dict[str, int]:
    found = (each for each in environment.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
    return {str(each): each.stat().st_mtime_ns for each in found}


@pytest.mark.parametrize("kind", [["--backend", "cpu"], ["--prebuilt"]], ids=["built", "prebuilt"])
def test_the_plain_command_gets_an_engine(
    base: Path, orch_home: Path, packages: Path, ready: Path, kind: list[str]
) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}

    def orch(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [base.parent / "orch", *words], env=clean, capture_output=True, text=True, timeout=120, check=False
        )

    before = files(base.parent.parent)
    refused = orch("run", "hello")
    assert refused.returncode == 1
    assert refused.stderr.endswith("hint: orch engine build\n")
    built = orch("engine", "build", *kind, "--no-speed", *offline(packages), "--find-links", str(ready))
    assert built.returncode == 0, built.stderr
    done = orch("run", "What is the Public Tap?")
    assert done.returncode == 0, done.stderr
    assert "prepaid credits" in done.stdout
    assert orch("stop", "--all").returncode == 0
    assert files(base.parent.parent) == before
