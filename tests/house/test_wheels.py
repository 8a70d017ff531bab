# SPDX-License-Identifier: GPL-3.0-or-later
"""Every distribution builds alone, installs alone, and carries its licence."""

from __future__ import annotations

import os
import subprocess
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from environments import FOLDERS, ROOT, build_wheel, make_environment

LICENCES = {
    "llama-orch": ("GPL-3.0-or-later", "LICENSE-GPL"),
    "llama-orch-utils": ("Apache-2.0", "LICENSE-APACHE"),
    "llama-orch-applet-summarize": ("Apache-2.0", "LICENSE-APACHE"),
}
MB = 1_000_000


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: build_wheel(name, tmp_path_factory.mktemp("wheel")) for name in FOLDERS}


@pytest.fixture(scope="module")
def base(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pip install llama-orch`: the command and the SDK, without the extra."""
    folder = tmp_path_factory.mktemp("base") / "env"
    return make_environment(folder, [wheels["llama-orch"], wheels["llama-orch-utils"]])


def run(python: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL", "UV_"))}
    return subprocess.run(
        [str(python), *args], env={**clean, **env}, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("name", FOLDERS)
def test_a_wheel_carries_its_licence_text_and_expression(wheels: dict[str, Path], name: str) -> None:
    expression, text = LICENCES[name]
    with zipfile.ZipFile(wheels[name]) as archive:
        (metadata,) = (member for member in archive.namelist() if member.endswith(".dist-info/METADATA"))
        headers = Parser().parsestr(archive.read(metadata).decode())
        licence = archive.read(metadata.replace("METADATA", f"licenses/{text}"))
    assert headers["License-Expression"] == expression
    assert licence == (ROOT / text).read_bytes()


def test_the_demo_model_travels_in_the_wheel_and_no_stray_file_does(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["llama-orch"]) as archive:
        sizes = {member.filename: member.file_size for member in archive.infolist()}
    assert sizes["llama_orch/models/demo/orch-demo.gguf"] <= 6 * MB
    assert "llama_orch/models/demo/MODEL_CARD.md" in sizes
    assert not [name for name in sizes if name.endswith(".pth") or "tests/" in name or "llama_orch_utils" in name]


def test_the_command_installs_without_a_compiler(base: Path) -> None:
    done = run(base.parent / "orch", "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("orch 0.")


def test_without_the_extra_a_local_run_says_what_to_install(base: Path, tmp_path: Path) -> None:
    done = run(base.parent / "orch", "run", "hello", ORCH_HOME=str(tmp_path))
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "pip install 'llama-orch[local]'" in done.stderr


def test_with_the_extra_the_plain_environment_answers(wheels: dict[str, Path], tmp_path: Path, orch_home: Path) -> None:
    python = make_environment(
        tmp_path / "env", [wheels["llama-orch"], wheels["llama-orch-utils"]], {"llama-orch": {"local"}}
    )
    done = run(python.parent / "orch", "run", "What is the Public Tap?", ORCH_HOME=str(orch_home))
    assert done.returncode == 0, done.stderr
    assert "prepaid credits" in done.stdout


def test_an_applet_installs_beside_the_sdk_alone(wheels: dict[str, Path], tmp_path: Path) -> None:
    python = make_environment(tmp_path / "env", [wheels["llama-orch-applet-summarize"], wheels["llama-orch-utils"]])
    probe = "from llama_orch_utils.applets import discover; print([found.applet.id for found in discover()])"
    done = run(python, "-c", probe)
    assert done.stdout.strip() == "['summarize']", done.stderr
