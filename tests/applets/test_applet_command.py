# SPDX-License-Identifier: GPL-3.0-or-later
"""Applets as commands: found by their entry points, typed by their input models; a broken one harms nobody."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from applet_package import package, points

from llama_orch_utils.testing import FakeTap

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def shouting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path) -> None:
    """A good applet, one that takes a common option's name, and two broken ones."""
    package(tmp_path)
    clash = """
from pydantic import BaseModel
from llama_orch_utils.applets import Context, applet
class In(BaseModel):
    model: str
@applet(__package__)
def clash(given: In, context: Context) -> In:
    return given
"""
    package(tmp_path, clash, name="clash", prompts={})
    points(tmp_path, {"broken": "shouting_nothere:applet", "odd": "json:dumps"}, "bad-package")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def test_the_list_warns_about_broken_ones_in_one_line_each(run_orch: Orch, shouting: None) -> None:
    done = run_orch("applet", "ls")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.decode().splitlines()]
    assert {"clash", "shout", "summarize"} <= set(names)
    warnings = [line for line in done.stderr.decode().splitlines() if "bad-package" in line]
    assert len(warnings) == 2
    assert warnings[0].startswith("warning: applet broken cannot be loaded: ModuleNotFoundError")
    assert warnings[1].startswith("warning: applet odd cannot be loaded: ")
    found = {each["id"]: each for each in json.loads(run_orch("applet", "ls", "--json").stdout)}
    assert found["broken"]["error"]
    assert (found["shout"]["package"], found["shout"]["error"]) == ("shout-package", None)


def test_the_rest_works_beside_a_broken_one(run_orch: Orch, shouting: None) -> None:
    with FakeTap() as tap:
        done = run_orch("summarize", "-", "--target", tap.url, input=b"x")
        assert (done.returncode, done.stderr) == (0, b"")
    done = run_orch("broken")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"error: applet broken cannot be loaded: ")
    assert b"\n\nhint: pip install --upgrade bad-package\n" in done.stderr


def test_inputs_become_typed_options(run_orch: Orch, shouting: None) -> None:
    words = ("--times", "3", "--pitch", "0.5", "--way-out", "right", "--tags", "a", "--tags", "b", "--more", '{"x": 1}')
    done = run_orch("shout", "hello", *words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["words"] == "HELLO HELLO HELLO"
    expected = {"text": "hello", "times": 3, "pitch": 0.5, "way_out": "right", "tags": ["a", "b"], "more": {"x": 1}}
    assert found["given"] == expected | {"does": "say"}
    done = run_orch("applet", "run", "shout", "--", "hello", "--way-out", "right")
    assert done.stdout.decode().startswith("words: HELLO HELLO\ngiven: text hello; times 2; ")
    page = run_orch("shout", "--help").stdout.decode()
    assert page.startswith("Say it louder.\n\nUsage: orch shout [TEXT] [options]")
    assert page.index("--times TIMES") < page.index("--batch SOURCE")
    assert "how often (default 2)" in page


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((), 2, "TEXT is missing: what to say"),
        (("x", "--times", "many"), 2, "--times needs a whole number, not 'many'"),
        (("x", "--way-out", "up"), 2, "--way-out is one of left, right, not 'up'"),
        (("x", "--more", "{"), 2, "--more needs JSON"),
        (("x", "--more", '{"a": "b"}'), 1, "more/a: input should be a valid integer"),
        (("x", "--does", "fail"), 1, "applet shout failed: ValueError: the applet's own mistake"),
        (("x", "--does", "exit"), 1, "applet shout failed: SystemExit: 3"),
        (("x", "--does", "odd"), 1, "applet shout gave an output that does not fit: /words: field required"),
        (("x", "--dry-run"), 2, "--dry-run is for a batch, and there is none"),
    ],
)
def test_what_goes_wrong(run_orch: Orch, shouting: None, words: tuple[str, ...], code: int, told: str) -> None:
    done = run_orch("shout", *words)
    assert (done.returncode, done.stdout) == (code, b""), done.stderr
    assert told in done.stderr.decode()
    assert "\n\nhint: " in done.stderr.decode() or "applet shout" in told
    assert "Traceback" not in done.stderr.decode()


def test_an_input_may_not_take_the_name_of_a_common_option(run_orch: Orch, shouting: None) -> None:
    done = run_orch("clash")
    assert done.returncode == 1
    assert b"which every applet has already" in done.stderr


def test_two_packages_with_one_id_are_refused_by_name(run_orch: Orch, shouting: None, tmp_path: Path) -> None:
    package(tmp_path, name="shout", module="another_shout", distribution="second-package")
    done = run_orch("shout", "x")
    assert done.returncode == 1
    assert b"there are two applets shout: second-package and shout-package both bring it" in done.stderr


def test_schema(run_orch: Orch, shouting: None) -> None:
    found = json.loads(run_orch("applet", "schema", "shout").stdout)
    assert [sorted(each) for each in found] == [["id", "input", "output", "summary"]]
    assert found[0]["input"]["required"] == ["text"]
    done = run_orch("applet", "schema", "shoot")
    assert done.returncode == 2
    assert b"did you mean 'shout'?" in done.stderr


def test_did_you_mean(run_orch: Orch, orch_home: Path) -> None:
    assert b"did you mean 'summarize'?" in run_orch("sumarize", "x").stderr
    done = run_orch("applet", "run", "sumarize")
    assert done.returncode == 2
    assert b"did you mean 'summarize'?" in done.stderr


def test_a_command_of_ours_cannot_be_taken_over(
    run_orch: Orch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path
) -> None:
    points(tmp_path, {"ls": "nothere:applet"}, "evil")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = run_orch("ls")
    assert done.returncode == 0
    assert b"orch-demo" in done.stdout
