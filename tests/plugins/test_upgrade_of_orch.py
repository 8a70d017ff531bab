# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade of `orch` keeps installed applets: installed by one version, run by the next, the first one gone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import applet_house
from environments import build_wheel, make_environment

from llama_orch_utils.testing import FakeTap, Script
from llama_orch_utils.version import VERSION

LATER = "0.1.99"
BODY = """
from pydantic import BaseModel
from llama_orch_utils.applets import Context, applet
from llama_orch_utils.version import VERSION


class Given(BaseModel):
    question: str


class Made(BaseModel):
    answer: str
    sdk: str


@applet(__package__)
def asks(given: Given, context: Context) -> Made:
    return Made(answer=context.client.chat(given.question).text, sdk=VERSION)
"""


def later(wheel: Path, folder: Path) -> Path:
    """The wheel as its next version would be."""
    folder.mkdir(exist_ok=True)
    path = folder / wheel.name.replace(f"-{VERSION}-", f"-{LATER}-")
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            if name.endswith((".dist-info/METADATA", "llama_orch_utils/version.py", "llama_orch/__init__.py")):
                for form in ("Version: {}\n", 'VERSION = "{}"', '__version__ = "{}"'):
                    body = body.replace(form.format(VERSION).encode(), form.format(LATER).encode())
            new.writestr(name.replace(f"-{VERSION}.dist-info/", f"-{LATER}.dist-info/"), body)
    return path


def test_installed_by_one_version_and_run_by_the_next(tmp_path: Path, orch_home: Path, applet_packages: Path) -> None:
    wheels = [build_wheel(name, tmp_path) for name in ("llama-orch", "llama-orch-utils")]
    first = make_environment(tmp_path / "first" / "env", wheels)
    applet = applet_house.write_wheel(
        tmp_path, "asks", body=BODY, more='[prompts]\n[batch]\ncolumns = {question = "q"}\n'
    )
    kept = {name: each for name, each in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}

    def orch(python: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(python), "-m", "llama_orch.cli", *words], cwd=tmp_path, env={**kept, **more},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stderr)
        return done

    assert orch(first, "--version").stdout == f"orch {VERSION}\n"
    orch(first, "applet", "install", "--yes", "--offline", "--find-links", str(applet_packages), str(applet))
    before = (orch_home / "data" / "applets" / "applets.lock").read_bytes()

    second = make_environment(tmp_path / "second" / "env", [later(each, tmp_path / "later") for each in wheels])
    shutil.rmtree(tmp_path / "first")
    assert orch(second, "--version").stdout == f"orch {LATER}\n"
    (row,) = [each for each in json.loads(orch(second, "applet", "ls", "--json").stdout) if each["id"] == "asks"]
    assert (row["version"], row["error"]) == ("1.0", None)
    with FakeTap(key="k" * 20) as tap:
        tap.script(Script(("Because.",)))
        at = {"ORCH_TARGET": tap.url, "ORCH_API_KEY": "k" * 20}
        told = json.loads(orch(second, "asks", "--question", "Why?", "--json", **at).stdout)
        assert told == {"answer": "Because.", "sdk": VERSION}, "it still has its own SDK"
        (tmp_path / "in.csv").write_text("q\nWhy?\n")
        orch(second, "asks", str(tmp_path / "in.csv"), **at)
    assert "verify" not in orch(second, "applet", "verify").stderr
    assert (orch_home / "data" / "applets" / "applets.lock").read_bytes() == before
    orch(second, "applet", "rm", "asks")
    assert not list((orch_home / "data" / "applets").glob("asks*"))
