# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour, encodings, and names from elsewhere."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.cli.output import as_json, one_line, printable, size
from llama_orch.cli.redact import STRUCK, looks_like_key, redact

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


def on_terminal(*words: str, env: dict[str, str] | None = None) -> bytes:
    """What a command writes when stdout and stderr are a terminal."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "llama_orch.cli", *words]
    environment = {"TERM": "xterm", **{k: v for k, v in os.environ.items() if k != "TERM"}, **(env or {})}
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment) as child:
        os.close(follower)
        found = b""
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # Linux's EIO: the terminal's last user is gone; macOS reads nothing then
                break
            if not piece:
                break
            found += piece
        child.wait()
    os.close(leader)
    return found


ESC = b"\x1b["


def test_colour_on_a_terminal_and_nowhere_else(orch_home: Path, run_orch: Orch) -> None:
    assert ESC in on_terminal("ls")
    piped = run_orch("ls")
    assert ESC not in piped.stdout + piped.stderr
    assert ESC not in run_orch("lss").stderr


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_variables_turn_it_off(orch_home: Path, env: dict[str, str]) -> None:
    assert ESC not in on_terminal("ls", env=env)
    assert ESC not in on_terminal("lss", env=env)


def test_force_and_flag_turn_it_on(run_orch: Orch) -> None:
    assert ESC in run_orch("ls", env={"FORCE_COLOR": "1"}).stdout
    assert ESC in run_orch("ls", "--color", "always", env={"NO_COLOR": "1"}).stdout
    assert ESC not in run_orch("ls", "--color=never", env={"FORCE_COLOR": "1"}).stdout
    assert ESC in run_orch("stop", "nothing", "--color=always").stderr
    assert ESC in run_orch("ls", "--jsn", "--color=always").stderr


def test_the_setting_counts_last(orch_home: Path, run_orch: Orch) -> None:
    assert run_orch("config", "set", "color", "always").returncode == 0
    assert ESC in run_orch("ls").stdout
    assert ESC not in run_orch("ls", env={"NO_COLOR": "1"}).stdout
    assert run_orch("config", "set", "color", "never").returncode == 0
    assert ESC not in on_terminal("ls")


def test_json_and_ids_have_no_colour_even_when_forced(run_orch: Orch) -> None:
    for mode in ("--json", "-q"):
        assert ESC not in run_orch("ls", mode, "--color=always").stdout


@pytest.mark.parametrize(
    "env",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}],
)
def test_no_locale_makes_it_fail(run_orch: Orch, env: dict[str, str], orch_home: Path) -> None:
    assert run_orch("target", "add", "acme", "https://tap.example/v1", "-m", "modèle-模型").returncode == 0
    plain = run_orch("target", "ls", env=env)
    assert plain.returncode == 0
    assert b"acme" in plain.stdout
    told = run_orch("target", "ls", "--json", env=env)
    assert [each["model"] for each in json.loads(told.stdout)] == [None, None, "modèle-模型"]
    failed = run_orch("stop", "modèle-模型", env=env)
    assert failed.returncode == 1
    assert failed.stderr.startswith(b"error: ")
    assert b"Traceback" not in failed.stderr


def test_bytes_of_a_file_name_come_out_as_they_came(run_orch: Orch, tmp_path: Path) -> None:
    done = run_orch("show", os.fsdecode(b"./caf\xe9.gguf"))
    assert done.returncode == 1
    assert b"caf" in done.stderr
    assert b"Traceback" not in done.stderr


def test_names_from_elsewhere_move_no_cursor() -> None:
    assert printable("a\x1b]0;title\x07b\rc") == r"a\x1b]0;title\x07b\rc"
    assert printable("é 模 🙂\n\tx") == "é 模 🙂\n\tx"
    assert one_line("a\n b" * 60).endswith("...")


@given(st.text())
def test_json_is_carried_by_any_encoding(text: str) -> None:
    for encoding in ("utf-8", "ascii", "latin-1"):
        assert json.loads(as_json({"x": text}, compact=True, encoding=encoding).encode(encoding)) == {"x": text}


@given(st.text())
def test_printable_leaves_no_control_character(text: str) -> None:
    assert all(each.isprintable() or each in "\n\t" for each in printable(text))


def test_sizes() -> None:
    assert [size(n) for n in (0, 999, 1000, 4_200_000, 7.1e9, 2e12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "4.2 MB",
        "7.1 GB",
        "2.0 TB",
    ]


@pytest.mark.parametrize(
    "key",
    ["sk-proj-A1b2C3d4E5f6G7h8", "orch_live_0123456789abcdef", "hf_AbCdEfGhIjKl", "tap-Abcdefgh1",
     "0123456789abcdef0123456789abcdef"],
)  # fmt: skip
def test_keys_are_recognised(key: str) -> None:
    assert looks_like_key(key)


@pytest.mark.parametrize(
    "word",
    ["public", "private:acme", "https://tap.example/v1", "orch-demo", "orch-demo.gguf", "qwen3:0.6b", "./x.gguf",
     "llama-orch-utils", "tap-production-europe", "local"],
)  # fmt: skip
def test_names_are_no_keys(word: str) -> None:
    assert not looks_like_key(word)


def test_keys_are_struck_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_API_KEY", "some odd secret")
    text = "x some odd secret y sk-abcDEF123456 z Authorization: Bearer abcdefg https://me:pw@tap.example/v1"
    struck = redact(text)
    assert struck == f"x {STRUCK} y {STRUCK} z Authorization: Bearer {STRUCK} https://{STRUCK}@tap.example/v1"
