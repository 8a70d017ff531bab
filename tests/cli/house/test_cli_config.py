# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch config`: every origin, and files that do not parse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.config.command import CONFIG

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def keys_of(name: str) -> set[str]:
    """The documented JSON keys of a command."""
    return set(next(each for each in CONFIG.commands if each.name == name).prints)


def test_origins(run_orch: Orch, tmp_path: Path, told: Told, snapshot: SnapshotAssertion) -> None:
    for line in (
        ["config", "set", "keep_alive", "10m"],
        ["config", "set", "model", "mine"],
        ["config", "set", "slots", "4"],
    ):
        assert run_orch(*line).returncode == 0
    (tmp_path / "orch.toml").write_text('model = "theirs"\n[targets.acme]\nurl = "https://tap.acme.example/v1"\n')
    assert told(run_orch("config", "ls", "--show-origin", env={"ORCH_SLOTS": "2"})) == snapshot
    rows = json.loads(run_orch("config", "ls", "--json", env={"ORCH_SLOTS": "2"}).stdout)
    assert [set(each) for each in rows] == [keys_of("ls")] * len(rows)
    origins = {each["key"]: each["origin"] for each in rows}
    assert [origins[key] for key in ("slots", "model", "keep_alive", "threads")] == [
        "environment", "project", "user", "default",
    ]  # fmt: skip


def test_set_get_unset(run_orch: Orch, orch_home: Path) -> None:
    file = orch_home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('# mine\nmodel = "a"  # why\n')
    assert set(json.loads(run_orch("config", "set", "model", "b", "--json").stdout)) == keys_of("set")
    assert file.read_text() == '# mine\nmodel = "b"  # why\n'
    assert run_orch("config", "get", "model").stdout == b"b\n"
    assert set(json.loads(run_orch("config", "get", "model", "--json").stdout)) == keys_of("get")
    assert set(json.loads(run_orch("config", "unset", "model", "--json").stdout)) == keys_of("unset")
    assert run_orch("config", "get", "model").stdout == b""
    assert run_orch("config", "set", "targets.acme.url", "https://x.example").returncode == 0
    assert run_orch("config", "get", "targets.acme.url").stdout == b"https://x.example\n"


def test_the_projects_file(run_orch: Orch, tmp_path: Path) -> None:
    assert run_orch("config", "set", "model", "theirs", "--project").returncode == 0
    assert (tmp_path / "orch.toml").read_text() == 'model = "theirs"\n'


def test_path_and_dirs(run_orch: Orch, orch_home: Path) -> None:
    assert run_orch("config", "path").stdout.decode() == f"{orch_home}/config/config.toml\n"
    assert set(json.loads(run_orch("config", "path", "--json").stdout)) == keys_of("path")
    assert set(json.loads(run_orch("config", "dirs", "--json").stdout)) == keys_of("dirs")


def test_bad_input(run_orch: Orch, told: Told, snapshot: SnapshotAssertion) -> None:
    for line in (
        ["config", "get", "modl"],
        ["config", "set", "modl", "x"],
        ["config", "set", "slots", "many"],
        ["config", "set", "keep_alive", "soon"],
        ["config", "set", "model", ""],
        ["config", "unset", "zzz"],
        ["config", "sett", "model", "x"],
    ):
        assert told(run_orch(*line)) == snapshot(name=" ".join(line))


@pytest.mark.parametrize(
    "text",
    [b"model = \n", b"model = 'a'\n[targets\n", b"slots = 'x'\n", b"\xff\xfe", b"[targets.acme]\nurl = 3\n",
     b"targets = 1\n", b"a = 1\na = 2\n"],
)  # fmt: skip
def test_a_file_that_does_not_parse(
    text: bytes, run_orch: Orch, orch_home: Path, told: Told, snapshot: SnapshotAssertion
) -> None:
    file = orch_home / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_bytes(text)
    done = run_orch("config", "ls")
    assert done.returncode == 1
    assert told(done) == snapshot
    assert run_orch("--help").returncode == 0
    assert run_orch("config", "path").returncode == 0


def test_a_full_disk(orch_home: Path) -> None:
    command = [sys.executable, "-m", "llama_orch.cli", "config", "set", "model", "x"]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -f 0; exec "$@"', "bash", *command], capture_output=True, check=False, env={**os.environ}
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: cannot write")
    assert b"\n\nhint: " in done.stderr
    assert not (orch_home / "config" / "config.toml").exists()


def test_no_permission(run_orch: Orch, orch_home: Path) -> None:
    (orch_home / "config").write_text("a file where the directory should be")  # refuses the superuser as well
    done = run_orch("config", "set", "model", "x")
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: ")
    assert b"\n\nhint: " in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_working_directory_that_was_removed(orch_home: Path, tmp_path: Path) -> None:
    script = f'mkdir gone && cd gone && rmdir ../gone && exec "{sys.executable}" -m llama_orch.cli config get log'
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"true\n")
