# SPDX-License-Identifier: GPL-3.0-or-later
"""What an applet's README shows is typed as it stands, beside its samples, with a tap that answers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_orch_utils.applets import Applet, load
from llama_orch_utils.applets.schema import MOST_BYTES, schemas, size
from llama_orch_utils.testing import FakeTap

ROOT = Path(__file__).parents[2]
NAMES = ("brief", "extract", "minutes", "outreach", "reply", "triage")


@pytest.fixture
def beside(orch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of all applets' folders, and a target that gives the smallest answer that fits."""
    shutil.copytree(ROOT / "applets", tmp_path / "applets", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    with FakeTap() as tap:
        monkeypatch.setenv("ORCH_TARGET", tap.url)
        yield tmp_path / "applets"


def blocks(name: str, language: str) -> list[str]:
    text = (ROOT / "applets" / name / "README.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_of_a_readme_do_what_they_should(name: str, beside: Path) -> None:
    lines = [line.removeprefix("$ ") for block in blocks(name, "console") for line in block.splitlines()]
    commands = [line for line in lines if not line.startswith("pip ")]
    assert commands
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command], input=b"", capture_output=True, cwd=beside / name, timeout=120, check=False
        )
        # Of a letter the smallest answer is no letter: each row says so in its place.
        assert done.returncode in ((0, 1) if name == "outreach" else (0,)), (command, done.stderr)
        assert b"Traceback" not in done.stderr
    if name == "outreach":
        assert (beside / name / "letters.csv").read_text().count("invalid_answer") == 4
    if name == "minutes":
        assert sorted(each.name for each in (beside / name / "minutes").iterdir()) == ["minutes.ics", "minutes.md"]


@pytest.mark.parametrize("name", [*NAMES, "summarize"])
def test_the_python_of_a_readme_runs(name: str, beside: Path) -> None:
    for code in blocks(name, "python"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=beside, timeout=120, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [*NAMES, "summarize"])
def test_what_an_applet_says_of_itself_agrees(name: str) -> None:
    project = tomllib.loads((ROOT / "applets" / name / "pyproject.toml").read_text())["project"]
    found = load(name)
    assert found is not None
    assert isinstance(found.applet, Applet), found.error
    manifest = found.applet.manifest
    assert (manifest.id, manifest.version, manifest.licence) == (name, project["version"], project["license"])
    assert set(manifest.reads) | set(manifest.writes) <= set(found.applet.input.model_fields)
    assert manifest.network == ("target",)
    assert (ROOT / "applets" / name / "LICENSE-APACHE").read_text().lstrip().startswith("Apache License")


def test_the_schemas_of_all_are_small_enough_for_an_agent() -> None:
    found = [each.applet for each in map(load, (*NAMES, "summarize")) if each is not None]
    assert size(schemas([each for each in found if each is not None])) <= MOST_BYTES
