# SPDX-License-Identifier: GPL-3.0-or-later
"""What TAB offers, and the scripts in their shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from llama_orch.cli.completion.answer import offers
from llama_orch.cli.completion.names import cache_file, remember, remembered
from llama_orch.cli.registry import COMMANDS
from llama_orch_utils.config import paths

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def names(orch_home: Path) -> None:
    """Names in the cache."""
    remember(models=["orch-demo", "qwen3:0.6b"], targets=["local", "private:acme"], applets=["summarize"])


def offered(*typed: str) -> list[str]:
    """The offers that begin with what was typed."""
    return [value for value, _ in offers(typed) if value.startswith(typed[-1])]


def test_the_cache_lies_where_the_sdk_says(orch_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_file() == str(paths.cache_dir() / "completion.json")
    monkeypatch.delenv("ORCH_HOME")
    assert cache_file() == str(paths.cache_dir() / "completion.json")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["mod"], ["models"]),
        (["s"], ["serve", "show", "stop", "summarize"]),
        (["--"], ["--help", "--version"]),
        (["models", "l"], ["ls", "link"]),
        (["models", "ls", "--j"], ["--json"]),
        (["logs", "--se"], ["--search"]),
        (["show", "q"], ["qwen3:0.6b"]),
        (["ls", "-t", ""], ["local", "public", "private:acme"]),
        (["ls", "--target=pri"], ["--target=private:acme"]),
        (["ls", "--color", "a"], ["auto", "always"]),
        (["target", "use", "p"], ["public", "private:acme"]),
        (["config", "set", "keep"], ["keep_alive"]),
        (["config", "set", "model", ""], []),
        (["models", "link", ""], [":files"]),
        (["models", "rm", "orch-demo", "q"], ["qwen3:0.6b"]),
        (["completion", "b"], ["bash"]),
        (["pull", "qwen3:1"], ["qwen3:1.7b", "qwen3:14b"]),
        (["models", "pull", "--dry-run", "bge-m3"], ["bge-m3:567m"]),
        (["run", "--draft", "q"], ["qwen3:0.6b"]),
        (["help", "exit"], ["exit-codes"]),
        (["zzz", ""], []),
        (["models", "zzz", ""], []),
    ],
)
def test_offers(names: None, typed: list[str], expected: list[str]) -> None:
    assert offered(*typed) == expected


def test_catalogues_of_ones_own_are_offered_first(orch_home: Path) -> None:
    own = orch_home / "config" / "catalogue.toml"
    own.parent.mkdir()
    own.write_text(
        '[family.house.sizes.small]\nparameters = "1B"\n[family."x;rm".sizes."a b"]\n[family.q]\nsizes = 3\n'
    )
    assert offers(["pull", ""])[0] == ("house:small", "1B parameters")
    assert all(";" not in value for value, _ in offers(["pull", ""]))
    own.write_text("no TOML at all [")
    assert "qwen3:0.6b" in offered("pull", "qwen3:0")


@given(
    st.lists(
        st.one_of(st.text(max_size=6), st.sampled_from([*COMMANDS, "--", "--json", "-m", "ls", "="])),
        min_size=1,
        max_size=5,
    )
)
def test_any_line_gets_an_answer(typed: list[str]) -> None:
    assert all(isinstance(value, str) and "\n" not in value for value, _ in offers(typed))


def test_commands_fill_the_cache(run_orch: Orch, tiny_gguf: Path) -> None:
    assert run_orch("models", "link", str(tiny_gguf), "-n", "mine").returncode == 0
    assert run_orch("target", "add", "acme", "https://x.example").returncode == 0
    assert "mine" in remembered("models")
    assert "acme" in remembered("targets")
    assert run_orch("rm", "mine").returncode == 0
    assert "mine" not in remembered("models")


@pytest.mark.parametrize("content", [b"", b"[]", b'{"models": 3}', b"\xff", b'{"models": [1, null]}'])
def test_a_broken_cache_is_no_error(content: bytes, orch_home: Path, run_orch: Orch) -> None:
    (orch_home / "cache").mkdir()
    (orch_home / "cache" / "completion.json").write_bytes(content)
    done = run_orch("_complete", "fish", "show", "orch")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"orch-demo" in done.stdout


def test_the_scripts(run_orch: Orch, snapshot: SnapshotAssertion) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert run_orch("completion", shell).stdout.decode() == snapshot(name=shell)


def test_in_bash(names: None, run_orch: Orch, tmp_path: Path) -> None:
    (tmp_path / "orch").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m llama_orch.cli "$@"\n')
    (tmp_path / "orch").chmod(0o755)
    bash = shutil.which("bash")
    assert bash
    for line, expected in (
        ("orch mo", "models"),
        ("orch target use ", "local public private:acme"),
        ("orch target use private:a", "acme"),  # bash cuts words at colons, and completes what is behind
        ("orch show qwen3:", "0.6b"),
        ("orch completion z", "zsh"),
    ):
        script = (
            'eval "$(orch completion bash)"; COMP_LINE=$1; COMP_POINT=${#1}; COMP_WORDS=($1); COMP_CWORD=1; '
            'complete -p orch >/dev/null; _orch_complete; echo "${COMPREPLY[*]}"'
        )
        done = subprocess.run(
            [bash, "--norc", "-c", script, "bash", line], capture_output=True, check=False,
            env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        )  # fmt: skip
        assert (done.stdout.decode().strip(), done.stderr) == (expected, b""), line
