# SPDX-License-Identifier: GPL-3.0-or-later
"""Applets as commands: found by their entry points, typed by their inputs; a broken one harms nobody."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llama_orch_utils.testing import FakeTap

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]

CODE = """\
from llama_orch_utils.applets import Applet, Input

def run(client, inputs):
    if inputs["fail"]:
        raise ValueError("the applet's own mistake")
    yield repr(dict(inputs))

applet = Applet("shout", "Say it louder.", run, inputs=(
    Input("text", "what to say", required=True),
    Input("times", "how often", "integer", 2),
    Input("pitch", "how high", "number"),
    Input("way-out", "where", "choice", "left", choices=("left", "right")),
    Input("fail", "fail", "flag"),
))
clash = Applet("clash", "Takes --model.", run, inputs=(Input("model", "which"),))
"""
POINTS = """\
[llama_orch.applets.v1]
shout = shouting:applet
clash = shouting:clash
broken = shouting_nothere:applet
odd = shouting:run
"""


@pytest.fixture
def shouting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with four applets, as an installer leaves it: a module, and its metadata beside it."""
    (tmp_path / "shouting.py").write_text(CODE)
    metadata = tmp_path / "shouting-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(POINTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_the_list_warns_about_broken_ones_in_one_line_each(run_orch: Orch, shouting: None) -> None:
    done = run_orch("applet", "ls")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.decode().splitlines()]
    assert names == ["NAME", "clash", "shout", "summarize"]
    warnings = done.stderr.decode().splitlines()
    assert len(warnings) == 2
    assert warnings[0].startswith("warning: applet broken cannot be loaded: ModuleNotFoundError")
    assert warnings[1].startswith("warning: applet odd cannot be loaded: ")
    found = {each["name"]: each for each in json.loads(run_orch("applet", "ls", "--json").stdout)}
    assert found["broken"]["error"]
    assert found["shout"] == {"name": "shout", "help": "Say it louder.", "package": "shouting", "error": None}
    assert run_orch("applet", "ls", "-q").stdout.split() == [b"clash", b"shout", b"summarize"]


def test_the_rest_works_beside_a_broken_one(run_orch: Orch, shouting: None) -> None:
    with FakeTap() as tap:
        done = run_orch("summarize", "--text", "x", "--target", tap.url)
        assert (done.returncode, done.stderr) == (0, b"")
    done = run_orch("broken")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: applet broken cannot be loaded: ")
    assert b"\n\nhint: pip install --upgrade shouting\n" in done.stderr


def test_inputs_become_typed_options(run_orch: Orch, shouting: None) -> None:
    done = run_orch("shout", "hello", "--times", "3", "--pitch", "0.5", "--way-out", "right")
    assert done.returncode == 0, done.stderr
    expected = {"text": "hello", "times": 3, "pitch": 0.5, "way-out": "right", "fail": False}
    assert done.stdout.decode().strip() == repr(expected)
    done = run_orch("shout", "hello")
    assert "'times': 2, 'pitch': None, 'way-out': 'left'" in done.stdout.decode()
    page = run_orch("shout", "--help").stdout.decode()
    assert page.startswith("Say it louder.\n\nUsage: orch shout TEXT [options]")
    assert "--times TIMES" in page


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "TEXT is missing"),
        (("x", "--times", "many"), 2, "--times needs a whole number, not 'many'"),
        (("x", "--way-out", "up"), 2, "--way-out is one of left, right, not 'up'"),
        (("x", "--fail"), 1, "applet shout failed: ValueError: the applet's own mistake"),
    ],
)
def test_what_goes_wrong(run_orch: Orch, shouting: None, words: tuple[str, ...], code: int, told: str) -> None:
    done = run_orch("shout", *words)
    assert (done.returncode, done.stdout) == (code, b"")
    assert told in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_an_input_may_not_take_the_name_of_a_common_option(run_orch: Orch, shouting: None) -> None:
    done = run_orch("clash")
    assert done.returncode == 1
    assert b"which every applet has already" in done.stderr


def test_did_you_mean(run_orch: Orch, orch_home: Path) -> None:
    assert b"did you mean 'summarize'?" in run_orch("sumarize", "x").stderr
    done = run_orch("applet", "run", "sumarize")
    assert done.returncode == 2
    assert b"did you mean 'summarize'?" in done.stderr


def test_a_command_of_ours_cannot_be_taken_over(
    run_orch: Orch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "evil-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[llama_orch.applets.v1]\nls = nothere:applet\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run_orch("ls")
    assert done.returncode == 0
    assert b"orch-demo" in done.stdout
