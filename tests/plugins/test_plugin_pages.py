# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the pages about installing, packing and handing out applets, typed as they stand."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import applet_house
import pytest

from llama_orch_utils.testing import FakeTap, Script

ROOT = Path(__file__).parents[2]
ANSWER = '{"title": "A", "points": []}'


def commands_of(page: str) -> list[str]:
    """The lines of its plain code blocks that are commands, without their comments."""
    lines: list[str] = []
    kind: str | None = None
    for line in (ROOT / page).read_text("utf-8").splitlines():
        if line.startswith("```"):
            kind = line.removeprefix("```") if kind is None else None
        elif kind == "":
            lines.append(line.partition("  #")[0].strip())
    return [line for line in lines if line.startswith(("orch ", "python3 ", "acme-helpdesk "))]


@pytest.fixture
def folder(orch_home: Path, tmp_path: Path, applet_packages: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for kind, joined in (("UV", "UV_FIND_LINKS"), ("PIP", "PIP_FIND_LINKS")):
        monkeypatch.setenv(f"{kind}_NO_INDEX", "1")
        monkeypatch.setenv(
            joined, f"{applet_packages} {tmp_path}" if kind == "PIP" else f"{applet_packages},{tmp_path}"
        )
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/.local/bin:{Path(sys.executable).parent}:{os.environ['PATH']}")
    return tmp_path


def typed(command: str, folder: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-c", command], input=given, capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def test_install_applets(folder: Path):
    made = applet_house.write_wheel(folder, "triage-tickets", package="applet_triage")
    assert made.name == "applet_triage-1.0-py3-none-any.whl"
    found = commands_of("docs/how-to/install-applets.md")
    assert found[1].endswith(made.name)
    assert len(found) == 8
    typed("orch applet new my-applet", folder)
    typed(found[0] + " --yes", folder)
    typed(found[1] + " --yes", folder)
    # The package and the bundle are named as examples; what they stand for is installed elsewhere in these tests.
    for command in found[4:]:
        typed(re.sub(r"\btriage$", "triage-tickets", command), folder)


def test_white_label(folder: Path, monkeypatch: pytest.MonkeyPatch):
    found = commands_of("docs/how-to/white-label.md")
    page = (ROOT / "docs/how-to/white-label.md").read_text("utf-8")
    with FakeTap(key="key-of-the-tap") as tap:
        tap.script(Script((ANSWER,))).script(Script((ANSWER,)))
        monkeypatch.setenv("ORCH_PUBLIC_URL", tap.url)
        monkeypatch.setenv("ORCH_API_KEY", "key-of-the-tap")
        for command in found[:4]:
            typed(command, folder)
    (brand,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (folder / "acme").mkdir()
    (folder / "acme" / "brand.toml").write_text(brand)
    (folder / "acme" / "logo.svg").write_text("<svg/>")
    applet_house.write_wheel(folder, "triage", package="llama-orch-applet-triage")
    assert found[4] == "orch applet pack ./acme"
    signer = json.loads(typed(f"{found[4]} --json", folder).stdout)["signer"]
    typed("mv dist/*.zip .", folder)
    for command in found[5:]:
        given = "key-of-acme\n" if command.endswith("login") else ""
        typed(command.replace("ed25519:…", signer), folder, given)
    assert len(found) == 9
