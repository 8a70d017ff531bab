# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch doctor`: what is in order, what is not, and what mends it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from fake_tap import RIGHT_KEY, WRONG_KEY, FakeTap

from llama_orch.cli.doctor.command import DOCTOR

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def examined(run_orch: Orch, *words: str, env: dict[str, str] | None = None) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and the findings by name."""
    done = run_orch("doctor", "--json", *words, env=env, timeout=200)
    found = json.loads(done.stdout)
    assert all(set(each) == set(DOCTOR.prints) for each in found)
    assert all(each["hint"] for each in found if each["state"] == "fail")
    return done.returncode, {each["name"]: each for each in found}


def test_all_in_order(run_orch: Orch) -> None:
    code, found = examined(run_orch)
    assert code == 0, found
    names = {"python", "llama-orch", "config", "config directory", "data directory", "state directory",
             "cache directory", "run directory", "keyring", "log", "processors", "compiler", "engine", "smoke test",
             "devices", "model"}  # fmt: skip
    assert names <= set(found)
    assert not any(each["state"] == "fail" for each in found.values())


def test_the_page_for_people(run_orch: Orch, orch_home: Path) -> None:
    (orch_home / "cache").write_text("a file where the directory should be")
    done = run_orch("doctor")
    assert done.returncode == 1
    lines = done.stdout.decode().splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("fail  cache directory: "))
    assert lines[at + 1].startswith("      hint: ls -ld ")
    assert any(line.startswith("ok    python: ") for line in lines)
    assert b"cache directory\n" in run_orch("doctor", "-q").stdout


def test_a_config_that_does_not_parse(run_orch: Orch, orch_home: Path) -> None:
    (orch_home / "config").mkdir()
    (orch_home / "config" / "config.toml").write_text("model = \n")
    code, found = examined(run_orch)
    assert code == 1
    assert found["files"]["state"] == "fail"
    assert "line 1, column 9" in found["files"]["message"]


def test_a_key_file_that_others_read(run_orch: Orch, orch_home: Path) -> None:
    (orch_home / "config").mkdir()
    keys = orch_home / "config" / "keys.toml"
    keys.write_text('"https://tap.example" = "sk-canary-0123456789"\n')
    keys.chmod(0o644)
    code, found = examined(run_orch)
    assert code == 1
    assert found["keyring"]["hint"] == f"chmod 600 {keys}" or any(
        each["hint"] == f"chmod 600 {keys}" for each in found.values()
    )
    assert "canary" not in json.dumps(found)


def test_targets_only_with_network(run_orch: Orch, tap: FakeTap, nobody: str) -> None:
    assert run_orch("target", "add", "here", tap.url).returncode == 0
    assert run_orch("target", "add", "gone", nobody).returncode == 0
    code, found = examined(run_orch)
    assert code == 0
    assert not tap.asked
    assert not any(name.startswith("target ") for name in found)
    code, found = examined(run_orch, "--network", env={"ORCH_API_KEY": RIGHT_KEY})
    assert code == 1
    assert (found["target here"]["state"], found["target gone"]["state"]) == ("ok", "fail")
    code, found = examined(run_orch, "--network", env={"ORCH_API_KEY": WRONG_KEY})
    assert found["target here"]["hint"] == "orch auth login here"
    assert WRONG_KEY not in json.dumps(found)


def test_a_model_that_is_gone(run_orch: Orch) -> None:
    code, found = examined(run_orch, env={"ORCH_MODEL": "orch-dmo"})
    assert code == 1
    assert found["model"]["state"] == "fail"
