# SPDX-License-Identifier: GPL-3.0-or-later
"""The smoke test: with the library that is installed, and with children that die as a broken one does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llama_orch.engine import smoke, smoke_model
from llama_orch.engine.context import Context, plan
from llama_orch.engine.model import Model
from llama_orch.engine.records import EngineOptions


def test_the_installed_library_works_with_repacked_weights(tmp_path: Path):
    assert smoke.verdict(tmp_path) == smoke.Verdict(extra_buffers=True, ok=True, message="", hint="")


def test_the_verdict_is_remembered_until_library_or_cpu_change(tmp_path: Path):
    first = smoke.verdict(tmp_path)
    (memory,) = tmp_path.glob("engine-smoke-*.json")
    known = json.loads(memory.read_text())
    known["verdict"]["message"] = "remembered"
    memory.write_text(json.dumps(known))
    assert smoke.verdict(tmp_path).message == "remembered"
    known["key"] = "of another library"
    memory.write_text(json.dumps(known))
    assert smoke.verdict(tmp_path) == first


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key": 1}', '{"key": "KEY", "verdict": {"ok": true}}'])
def test_a_damaged_memory_is_asked_again(tmp_path: Path, damage: str):
    smoke.verdict(tmp_path)
    (memory,) = tmp_path.glob("engine-smoke-*.json")
    memory.write_text(damage.replace("KEY", json.loads(memory.read_text())["key"]))
    assert smoke.verdict(tmp_path).ok


def test_a_crash_with_repacked_weights_turns_them_off_and_says_how_to_mend_it(tmp_path: Path):
    found = smoke.verdict(tmp_path, fault="extra-buffers")
    assert (found.ok, found.extra_buffers) == (True, False)
    assert "SIGILL" in found.message
    assert found.hint == "orch engine build --backend cpu"


def test_a_library_that_always_crashes_is_broken(tmp_path: Path):
    found = smoke.verdict(tmp_path, fault="always")
    assert (found.ok, found.extra_buffers) == (False, False)
    assert "does not work on this CPU" in found.message
    assert found.hint == smoke.REBUILD


def test_a_place_that_cannot_remember_is_said_and_does_not_stop_the_verdict(tmp_path: Path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert smoke.verdict(tmp_path / "file").ok
    assert "cannot be remembered" in capsys.readouterr().err


def test_the_child_leaves_nothing_behind(tmp_path: Path):
    command = [sys.executable, "-m", "llama_orch.engine.smoke"]
    done = subprocess.run(command, env={"TMPDIR": str(tmp_path), "PATH": ""}, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_smoke_model_multiplies_quantised_matrices(tmp_path: Path):
    path = tmp_path / "smoke.gguf"
    smoke_model.write(path)
    model = Model.load(path, EngineOptions())
    assert "Q8_0" in model.card.description or "Q4_0" in model.card.description
    context = Context(model, plan(model.card, EngineOptions(context=256, slots=1)))
    context.close()
    model.close()
