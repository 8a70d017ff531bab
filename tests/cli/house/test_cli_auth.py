# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch auth`: in by prompt, stdin or environment; out only where it was asked for."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from fake_tap import RIGHT_KEY
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.auth.command import AUTH

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
Told = Callable[["subprocess.CompletedProcess[bytes]"], str]
HOST = "https://tap.acme.example"


@pytest.fixture
def acme(run_orch: Orch) -> Orch:
    """The command, with a target `acme`."""
    assert run_orch("target", "add", "acme", f"{HOST}/v1").returncode == 0
    return run_orch


def keys_of(name: str) -> set[str]:
    """The documented JSON keys of a command."""
    return set(next(each for each in AUTH.commands if each.name == name).prints)


def test_a_key_from_stdin(acme: Orch, orch_home: Path) -> None:
    login = acme("auth", "login", "acme", "-", "--file", "--json", input=f"{RIGHT_KEY}\n".encode())
    assert login.returncode == 0, login.stderr
    assert set(json.loads(login.stdout)) == keys_of("login")
    file = orch_home / "config" / "keys.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    status = acme("auth", "status", "acme", "--json")
    assert status.returncode == 0
    assert [set(each) for each in json.loads(status.stdout)] == [keys_of("status")]
    assert json.loads(status.stdout)[0]["origin"] == "file"
    assert acme("auth", "token", "acme").stdout == f"{RIGHT_KEY}\n".encode()
    assert set(json.loads(acme("auth", "token", "acme", "--json").stdout)) == keys_of("token")
    for shown in (login, status, acme("auth", "status"), acme("config", "ls", "--show-origin"), acme("target", "ls")):
        assert RIGHT_KEY.encode() not in shown.stdout + shown.stderr
    logout = acme("auth", "logout", "acme", "--json")
    assert set(json.loads(logout.stdout)) == keys_of("logout")
    assert json.loads(logout.stdout)["forgotten"] == ["file"]
    assert acme("auth", "status", "acme").returncode == 4
    assert acme("auth", "logout", "acme").returncode == 0


def test_a_key_at_the_prompt_is_not_echoed(acme: Orch) -> None:
    child = pexpect.spawn(
        sys.executable, ["-m", "llama_orch.cli", "auth", "login", "acme", "--file"], encoding="utf-8", timeout=60,
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    child.expect_exact(f"key for {HOST}/v1: ")
    child.waitnoecho(60)
    child.sendline(RIGHT_KEY)
    child.expect(pexpect.EOF)
    assert child.wait() == 0
    assert child.before is not None
    assert RIGHT_KEY not in child.before
    assert acme("auth", "token", "acme").stdout == f"{RIGHT_KEY}\n".encode()


def test_interrupted_at_the_prompt(acme: Orch) -> None:
    child = pexpect.spawn(
        sys.executable, ["-m", "llama_orch.cli", "auth", "login", "acme"], encoding="utf-8", timeout=60,
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    child.expect_exact("key for ")
    child.waitnoecho(60)
    child.sendintr()
    child.expect(pexpect.EOF)
    assert child.wait() == 130
    assert child.before is not None
    assert "interrupted" in child.before
    assert "Traceback" not in child.before


def test_the_environment_counts_first(acme: Orch) -> None:
    assert acme("auth", "login", "acme", "-", "--file", input=b"sk-from-File-0123456789").returncode == 0
    status = json.loads(acme("auth", "status", "acme", "--json", env={"ORCH_API_KEY": RIGHT_KEY}).stdout)
    assert (status[0]["origin"], status[0]["where"]) == ("environment", "ORCH_API_KEY")


@pytest.mark.parametrize(
    "line",
    ["auth login acme KEY", "auth login KEY", "auth login KEY -", "auth logout KEY", "auth status KEY",
     "auth token KEY", "auth login acme --key KEY", "auth login acme --token=KEY", "auth login acme -k KEY",
     "config set api_key KEY", "config set target KEY", "target add acme KEY", "target use KEY", "KEY", "auth KEY",
     "run --api-key KEY hello"],
)  # fmt: skip
def test_a_key_as_an_argument_is_refused_and_not_repeated(line: str, acme: Orch) -> None:
    done = acme(*line.replace("KEY", RIGHT_KEY).split())
    assert done.returncode == (1 if line.startswith("target use") else 2), done.stderr
    assert RIGHT_KEY.encode() not in done.stdout + done.stderr
    assert b"error: " in done.stderr
    assert b"\n\nhint: " in done.stderr


def test_bad_input(acme: Orch, told: Told, snapshot: SnapshotAssertion) -> None:
    for line in (
        ["auth", "login", "acme"],
        ["auth", "login", "acme", "-"],
        ["auth", "login"],
        ["auth", "login", "acm"],
        ["auth", "token", "acme"],
        ["auth", "status", "local"],
        ["auth", "status", "acme", "public"],
        ["auth", "login", "public"],
        ["auth", "lgin"],
    ):
        assert told(acme(*line)) == snapshot(name=" ".join(line))


def test_an_impossible_key(acme: Orch) -> None:
    for key in (b"two words", "schlüssel-0123456789".encode(), b"x" * 5000):
        done = acme("auth", "login", "acme", "-", input=key)
        assert done.returncode in {1, 2}
        assert key[:20] not in done.stderr
        assert b"\n\nhint: " in done.stderr
        assert b"orch auth login" in done.stderr


def test_a_key_file_that_others_can_read_is_refused(acme: Orch, orch_home: Path) -> None:
    assert acme("auth", "login", "acme", "-", "--file", input=RIGHT_KEY.encode()).returncode == 0
    file = orch_home / "config" / "keys.toml"
    file.chmod(0o644)
    done = acme("auth", "token", "acme")
    assert done.returncode == 1
    assert f"hint: chmod 600 {file}".encode() in done.stderr
