# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch target`, against taps that answer, refuse, keep silent, or are not there."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from fake_tap import RIGHT_KEY, WRONG_KEY, FakeTap
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.target.command import TARGET

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]


def test_a_target_is_added_used_and_forgotten(run_orch: Orch, told: Told, snapshot: SnapshotAssertion) -> None:
    for line in (
        ["target", "ls"],
        ["target", "add", "private:acme", "https://tap.acme.example/v1", "-m", "big"],
        ["target", "use", "private:acme"],
        ["target", "ls"],
        ["target", "rm", "private:acme"],
        ["target", "ls"],
    ):
        assert told(run_orch(*line)) == snapshot


def test_json(run_orch: Orch) -> None:
    added = run_orch("target", "add", "acme", "https://tap.acme.example/v1", "--json")
    listed = run_orch("target", "ls", "--json")
    keys = [set(command.prints) for command in TARGET.commands if command.name in {"ls", "add"}]
    assert set(json.loads(added.stdout)) == keys[1]
    assert [set(each) for each in json.loads(listed.stdout)] == [keys[0]] * 3
    assert run_orch("target", "ls", "-q").stdout == b"local\npublic\nacme\n"


def test_bad_input(run_orch: Orch, told: Told, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    assert run_orch("target", "add", "acme", "https://tap.acme.example/v1").returncode == 0
    for line in (
        ["target", "use", "acm"],
        ["target", "use", "nothing-like-it"],
        ["target", "use", "public"],
        ["target", "rm", "acne"],
        ["target", "rm", "local"],
        ["target", "add", "local", "https://x.example"],
        ["target", "add", "x y", "https://x.example"],
        ["target", "add", "x", "ftp://x.example"],
        ["target", "add", "x", "https://me:pw@x.example"],
        ["target", "add", "x", RIGHT_KEY],
        ["target", "test", "acm"],
        ["target", "usee", "acme"],
    ):
        assert told(run_orch(*line)) == snapshot(name=" ".join(line))


def test_a_target_answers(run_orch: Orch, tap: FakeTap) -> None:
    assert run_orch("target", "add", "acme", tap.url).returncode == 0
    done = run_orch("target", "test", "acme", "--json", env={"ORCH_API_KEY": RIGHT_KEY})
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    test = next(each for each in TARGET.commands if each.name == "test")
    assert set(found) == set(test.prints)
    assert found["models"] == ["big-model"]
    assert run_orch("ls", "-t", "acme", "-q", env={"ORCH_API_KEY": RIGHT_KEY}).stdout == b"big-model\n"


def test_a_wrong_key(run_orch: Orch, tap: FakeTap, told: Told, snapshot: SnapshotAssertion) -> None:
    assert run_orch("target", "add", "acme", tap.url).returncode == 0
    for env in ({"ORCH_API_KEY": WRONG_KEY}, {}):
        done = run_orch("target", "test", "acme", env=env)
        assert done.returncode == 4
        assert WRONG_KEY.encode() not in done.stdout + done.stderr
        assert told(done) == snapshot


def test_out_of_credits(run_orch: Orch, tap: FakeTap, told: Told, snapshot: SnapshotAssertion) -> None:
    assert run_orch("target", "add", "acme", tap.url.replace("/v1", "/poor/v1")).returncode == 0
    done = run_orch("target", "test", "acme", env={"ORCH_API_KEY": RIGHT_KEY})
    assert done.returncode == 5
    assert told(done) == snapshot
    assert len(tap.asked) == 1  # never tried again


def test_nobody_is_there(run_orch: Orch, nobody: str, told: Told, snapshot: SnapshotAssertion) -> None:
    assert run_orch("target", "add", "acme", nobody).returncode == 0
    done = run_orch("target", "test", "acme")
    assert done.returncode == 3
    assert told(done) == snapshot


def test_a_silent_target(run_orch: Orch, silent: str) -> None:
    done = run_orch("target", "test", silent, "--timeout", "0.5")
    assert done.returncode == 3
    assert done.stderr.startswith(b"error: ")
    assert b"\n\nhint: " in done.stderr


def test_another_place_that_counts_is_told(run_orch: Orch) -> None:
    assert run_orch("target", "add", "acme", "https://tap.acme.example/v1").returncode == 0
    done = run_orch("target", "use", "acme", env={"ORCH_TARGET": "local"})
    assert done.returncode == 0
    assert b"requests still go to local: environment ORCH_TARGET counts before it" in done.stderr
