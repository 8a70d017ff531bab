# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch applet new` and `orch applet test`: a skeleton whose tests pass, recorded and live."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from llama_orch.applets import skeleton, trial
from llama_orch_utils.errors import AppletError
from llama_orch_utils.testing import FakeTap, Script


def test_a_new_one_passes_its_tests_and_installs(run_orch, install, tmp_path, applet_packages, tap):
    folder = tmp_path / "my-note"
    done = run_orch("applet", "new", "my-note", "--into", str(folder), "--licence", "MIT")
    assert done.returncode == 0, done.stderr
    assert f"next: orch applet test {folder}".encode() in done.stderr
    own = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."],
        cwd=folder, env={**os.environ, "PYTHONPATH": "src"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert own.returncode == 0, own.stdout
    assert "2 passed" in own.stdout

    words = ["--find-links", str(applet_packages), "--offline"]
    recorded = run_orch("applet", "test", str(folder), "--json", *words)
    assert recorded.returncode == 0, recorded.stderr
    assert json.loads(recorded.stdout)[0]["passed"] is True
    assert run_orch("applet", "ls", "--json").stdout.count(b'"my-note"') == 0, "a test leaves nothing behind"

    with FakeTap(key="key-of-the-tap") as live:
        env = {"ORCH_TARGET": live.url, "ORCH_API_KEY": "key-of-the-tap"}
        live.script(Script(('{"title": "Another", "points": []}',)))
        asked = run_orch("applet", "test", str(folder), "--live", "--json", *words, env=env)
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)[0]["output"]["title"] == "Another"

    assert install(folder).returncode == 0
    (tmp_path / "text.txt").write_text("Some text.")
    env = {"ORCH_TARGET": tap.url, "ORCH_API_KEY": tap.key}
    ran = run_orch("my-note", str(tmp_path / "text.txt"), "--json", env=env)
    assert set(json.loads(ran.stdout)) == {"title", "points"}, ran.stderr

    # A recording that says something else, against the one that is installed.
    case = {"input": {"text": "x"}, "answers": ['{"title": "A", "points": []}'], "output": {"title": "B", "points": []}}
    (tmp_path / "cases.jsonl").write_text(json.dumps(case) + "\n")
    failed = run_orch("applet", "test", "my-note", "--cases", str(tmp_path / "cases.jsonl"))
    assert failed.returncode == 1
    assert b'title should be "B", and is "A"' in failed.stdout
    assert b"0 of 1 passed" in failed.stderr


@pytest.mark.parametrize("name", ["", "My", "a b", "../x", "a/b", "class", "9a", "-x", "a--b", "ä"])
def test_names_that_will_not_do(tmp_path, name):
    with pytest.raises(AppletError, match="cannot be the name"):
        skeleton.write(name, tmp_path / "x", "MIT", "x")
    assert not (tmp_path / "x").exists()


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(AppletError, match="not empty"):
        skeleton.write("note", tmp_path, "MIT", "x")
    with pytest.raises(AppletError, match="one line"):
        skeleton.write("note", tmp_path / "y", "MIT", 'a "quoted" one')


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"input": 3}', '{"input": {}, "answers": [3]}'])
def test_cases_that_are_none(tmp_path, text):
    (tmp_path / "cases.jsonl").write_text(text + "\n")
    with pytest.raises(AppletError, match=r"no case"):
        trial.read(tmp_path / "cases.jsonl")
    with pytest.raises(AppletError, match="there are no cases"):
        trial.read(tmp_path / "nowhere.jsonl")
